"""The files with which emulators open a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hostward.commands.services import Services
from hostward.commands.sessions import read_session
from hostward.domain.errors import InvalidInput
from hostward.domain.launching import Emulator, LaunchFile, Program, check_user, emulators_of, launch_file


@dataclass(frozen=True, slots=True)
class Offer:
    """A program that opens sessions of the type, and its file; or, where it can't open this one, why."""

    emulator: Emulator
    file: LaunchFile | None
    problem: str = ""


def launch_offers(services: Services, session_id: str, user: str = "") -> Sequence[Offer]:
    """Of all programs for the session's type, the usual one first. Raises NotFound, and InvalidInput for the user."""
    check_user(user)
    body = read_session(services, session_id).json()
    offers = []
    for emulator in emulators_of(body["type"]):
        try:
            offers.append(Offer(emulator, launch_file(body, emulator.program, user)))
        except InvalidInput as error:
            offers.append(Offer(emulator, None, str(error)))
    return offers


def launch_file_of(services: Services, session_id: str, program: Program, user: str = "") -> LaunchFile:
    """Raises NotFound; InvalidInput where the program can't open the session."""
    return launch_file(read_session(services, session_id).json(), program, user)
