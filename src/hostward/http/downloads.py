"""Files that are given to be saved."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from starlette.responses import Response

from hostward.domain.launching import LaunchFile


def attachment(name: str, plain_name: str = "") -> Mapping[str, str]:
    """The header that has a browser save what comes, under this name (RFC 6266). `plain_name` is for those that know
    ASCII alone; it may be left out where the name is ASCII, without quotation marks."""
    named = f'attachment; filename="{plain_name or name}"'
    return {"Content-Disposition": named + (f"; filename*=UTF-8''{quote(name, safe='')}" if plain_name else "")}


def launch_answer(file: LaunchFile) -> Response:
    """The file itself."""
    headers = attachment(file.name, file.plain_name)
    return Response(file.content, media_type=file.media_type, headers=dict(headers))
