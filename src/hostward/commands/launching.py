"""The files with which emulators open a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import orjson

from hostward.commands.access import usable
from hostward.commands.auditing import recorded
from hostward.commands.services import Actor, Services
from hostward.commands.sessions import read_session
from hostward.domain.assignments import Of
from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput
from hostward.domain.launching import Emulator, LaunchFile, Program, check_user, emulators_of, launch_file
from hostward.domain.sessions import SessionType
from hostward.registry.group import Element

MAX_KEPT: Final = 4096
"""Of a session about 2 KB."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A program that opens sessions of the type, and its file; or, where it can't open this one, why."""

    emulator: Emulator
    file: LaunchFile | None
    problem: str = ""


def launch_offers(services: Services, session_id: str, user: str = "") -> Sequence[Offer]:
    """Of all programs for the session's type, the usual one first. Raises NotFound, and InvalidInput for the user."""
    check_user(user)
    return _offers(read_session(services, session_id).json(), user)


@dataclass(frozen=True, slots=True)
class Opening:
    """A program that opens a session, what starts it, and what else is needed: an offer without its file."""

    emulator: Emulator
    command: str
    notes: Sequence[str]


def openings_for(element: Element, actor: Actor) -> Sequence[Opening]:
    """Of the programs that open this session for that user."""
    return _openings(element.body, _host_user(actor, element.json()))


@lru_cache(MAX_KEPT)
def _openings(body: bytes, user: str) -> Sequence[Opening]:
    """Kept by all that it is made of, as many people have the same sessions."""
    offers = _offers(orjson.loads(body), user)
    return [Opening(o.emulator, o.file.command, o.file.notes) for o in offers if o.file is not None]


def _offers(body: Body, user: str) -> Sequence[Offer]:
    offers = []
    for emulator in emulators_of(body["type"]):
        try:
            offers.append(Offer(emulator, launch_file(body, emulator.program, user)))
        except InvalidInput as error:
            offers.append(Offer(emulator, None, str(error)))
    return offers


def _host_user(actor: Actor, body: Body) -> str:
    """Who logs in at the host: users are taken to be known there by the same name, where the program is told."""
    return actor.user if actor.account and body["type"] == SessionType.SSH else ""


def launch_file_of(services: Services, session_id: str, program: Program, user: str = "") -> LaunchFile:
    """Raises NotFound; InvalidInput where the program can't open the session."""
    return launch_file(read_session(services, session_id).json(), program, user)


async def launch_file_for(
    services: Services, actor: Actor, session_id: str, program: Program | None = None
) -> LaunchFile:
    """For the user who opens a session, which is recorded; for the usual program of the session's type, unless another
    is named. Raises NotFound where it isn't assigned to them, InvalidInput where the program can't open it."""
    async with recorded(services, actor, "session-launched", session=session_id) as act:
        body = usable(services, actor, Of.SESSION, session_id).json()
        chosen = program or emulators_of(body["type"])[0].program
        act.about |= {"name": body["name"], "program": chosen.value}
        return launch_file(body, chosen, _host_user(actor, body))
