"""Files that are given to be saved."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from typing import BinaryIO, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from hostward.commands.packages import Download
from hostward.domain.launching import LaunchFile
from hostward.domain.launching.names import plain
from hostward.domain.packages import Package

READ_BYTES: Final = 1 << 20
_RANGE: Final = re.compile(r"bytes=(\d{1,15})-").fullmatch


def attachment(name: str, plain_name: str = "") -> Mapping[str, str]:
    """The header that has a browser save what comes, under this name (RFC 6266). `plain_name` is for those that know
    ASCII alone; it may be left out where the name is ASCII, without quotation marks."""
    named = f'attachment; filename="{plain_name or name}"'
    return {"Content-Disposition": named + (f"; filename*=UTF-8''{quote(name, safe='')}" if plain_name else "")}


def launch_answer(file: LaunchFile) -> Response:
    """The file itself."""
    headers = attachment(file.name, file.plain_name)
    return Response(file.content, media_type=file.media_type, headers=dict(headers))


def first_byte(request: Request, package: Package) -> int:
    """From where on a package's file is asked for (RFC 9110, 14): what else Range may ask for is answered with all of
    it, and so is what is asked for another file's rest. Raises HTTPException 416 where the file isn't so long."""
    found = _RANGE(request.headers.get("range", ""))
    wanted = request.headers.get("if-range")
    if found is None or (wanted is not None and wanted != package_etag(package)):
        return 0
    first = int(found[1])
    if first >= package.content.size:
        headers = {"Content-Range": f"bytes */{package.content.size}"}
        raise HTTPException(416, "The file isn't so long; ask for all of it.", headers)
    return first


def package_etag(package: Package) -> str:
    """Names this file."""
    return f'"sha256:{package.content.sha256}"'


def package_answer(found: Download) -> Response:
    """The file, from the byte on that was asked for."""
    package, size = found.package, found.package.content.size
    headers = {
        **attachment(package.download_name, f"{plain(package.name)}.zip"),
        "Accept-Ranges": "bytes",
        "Content-Length": str(found.count),
        "ETag": package_etag(package),
    }
    if found.first:
        headers["Content-Range"] = f"bytes {found.first}-{size - 1}/{size}"
    parts = _parts_of(found.file, found.first) if found.file is not None else found.parts
    assert parts is not None
    return StreamingResponse(parts, 206 if found.first else 200, headers, "application/zip")


async def _parts_of(file: BinaryIO, first: int) -> AsyncIterator[bytes]:
    try:
        await asyncio.to_thread(file.seek, first)
        while part := await asyncio.to_thread(file.read, READ_BYTES):
            yield part
    finally:
        file.close()
