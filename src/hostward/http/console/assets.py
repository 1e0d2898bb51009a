"""What the pages load: each file under a name with its content's hash, so that a browser keeps it for ever.

Own files lie in static/, those of other projects in assets/, where `make assets` builds them (web/build.mjs).
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hostward.domain.errors import NotFound

MEDIA_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_REFERENCE = re.compile(rb"""(?P<before>from "\./|import "\./|url\("?'?)(?P<name>[\w.-]+\.(?:js|css|svg|woff2))""")


@dataclass(frozen=True, slots=True)
class Asset:
    """One file: the name that it is served under, and its content, also compressed where that helps."""

    name: str
    media_type: str
    content: bytes
    compressed: bytes | None


@dataclass(frozen=True, slots=True)
class Assets:
    """All files, by their own name (`names`) and by the name that they are served under."""

    names: Mapping[str, str]
    files: Mapping[str, Asset]

    async def serve(self, request: Request) -> Response:
        """GET static/{name}. Raises NotFound."""
        asset = self.files.get(request.path_params["name"])
        if asset is None:
            raise NotFound("There is no such file.", remedy="Load the page again.")
        headers = {"Cache-Control": _FOR_EVER, "Vary": "Accept-Encoding"}
        if asset.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.compressed, 200, {**headers, "Content-Encoding": "gzip"}, asset.media_type)
        return Response(asset.content, 200, headers, asset.media_type)


@lru_cache(maxsize=1)
def load_assets() -> Assets:
    """Read and compress all files: half a second's work at most, done when the first page is asked for."""
    here = resources.files("hostward.http.console")
    raw: dict[str, bytes] = {}
    for folder in ("assets", "static"):
        place = here.joinpath(folder)
        if place.is_dir():
            raw |= {f.name: f.read_bytes() for f in place.iterdir() if f.is_file()}
    if "patternfly.css" not in raw:
        raise NotFound(
            "The console's style sheets haven't been built.",
            remedy="Run `make assets` where Hostward was set up; an installed package has them.",
            code="assets-missing",
        )
    found: dict[str, Asset] = {}

    @cache
    def served(name: str) -> str:
        """A file's served name, once the files that it refers to have theirs."""
        content = _REFERENCE.sub(_replaced(served, raw), raw[name])
        path = PurePosixPath(name)
        hashed = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
        compressed = None if path.suffix == ".woff2" else gzip.compress(content, 9, mtime=0)
        found[hashed] = Asset(hashed, MEDIA_TYPES[path.suffix], content, compressed)
        return hashed

    return Assets({name: served(name) for name in raw}, found)


def _replaced(served: Callable[[str], str], raw: Mapping[str, bytes]) -> Callable[[re.Match[bytes]], bytes]:
    def replace(found: re.Match[bytes]) -> bytes:
        name = found["name"].decode()
        return found["before"] + (served(name) if name in raw else name).encode()

    return replace
