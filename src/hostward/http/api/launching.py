"""The files with which emulators open a session."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from starlette.responses import Response

from hostward.commands.launching import Offer, launch_file_of, launch_offers
from hostward.domain.launching import EMULATORS, Program
from hostward.http.api.shapes import answers
from hostward.http.downloads import launch_answer
from hostward.http.requests import Json, Shown, Strict, Who, With, administrators_router

router = administrators_router("Sessions", "/sessions")

_MEDIA = {media: {"schema": {"type": "string"}} for media in sorted({e.media_type for e in EMULATORS})}


class UserQuery(Strict):
    user: str = Field(default="", max_length=64)
    """Who logs in at the host, for SSH sessions; it becomes a part of the file."""


class LaunchQuery(UserQuery):
    format: Program
    """The program that is to open it."""


class LaunchFileShown(Shown):
    format: str
    label: str
    file_name: str
    """Empty where the program can't open this session."""
    media_type: str
    command: str
    """What starts it, in the directory where the file is; empty where the file is just opened."""
    notes: list[str]
    """What the file doesn't carry, and what else is needed."""
    problem: str
    """Why the program can't open this session."""


class LaunchFiles(Shown):
    items: list[LaunchFileShown]


@router.get(
    "/{session_id}/launch-files",
    summary="List the programs that open a session",
    responses=answers(LaunchFiles, "The usual program first"),
)
async def list_launch_files(
    session_id: str, query: Annotated[UserQuery, Query()], who: Who, services: With
) -> Response:
    return Json({"items": [_shown(offer) for offer in launch_offers(services, session_id, query.user)]})


@router.get(
    "/{session_id}/launch",
    summary="Get the file with which a program opens a session",
    response_class=Response,
    responses={200: {"content": _MEDIA, "description": "The file, with its name"}},
)
async def read_launch_file(
    session_id: str, query: Annotated[LaunchQuery, Query()], who: Who, services: With
) -> Response:
    """Groups and comment aren't in it: they are the administrators'."""
    return launch_answer(launch_file_of(services, session_id, query.format, query.user))


def _shown(offer: Offer) -> dict[str, Any]:
    file = offer.file
    return {
        "format": offer.emulator.program.value,
        "label": offer.emulator.label,
        "file_name": file.name if file else "",
        "media_type": offer.emulator.media_type,
        "command": file.command if file else "",
        "notes": file.notes if file else (),
        "problem": offer.problem,
    }
