"""Answers that are given piece by piece, each as soon as it is there."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping

from starlette.responses import StreamingResponse


def following(
    pieces: AsyncGenerator[bytes] | AsyncGenerator[str], media_type: str, headers: Mapping[str, str] | None = None
) -> StreamingResponse:
    """The answer; no proxy keeps it back."""
    kept = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(pieces, headers={**kept, **(headers or {})}, media_type=media_type)
