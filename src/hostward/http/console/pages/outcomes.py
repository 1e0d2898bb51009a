"""What a page says after a write: a quiet note with who has it; on a Slave the change request that it became."""

from __future__ import annotations

import json

from starlette.responses import Response

from hostward.commands.writing import Submitted
from hostward.domain.errors import Conflict, InvalidInput, Mistake
from hostward.domain.panels import REQUESTS
from hostward.domain.replicated import Replicated
from hostward.domain.replication import Role
from hostward.http.console.visits import Visit


def told(answer: Response, text: str) -> Response:
    """The answer, and a note that the page shows, or the one that it leads to."""
    answer.headers["HX-Trigger"] = json.dumps({"hw:toast": {"text": text}})
    return answer


def went(visit: Visit, path: str, said: str, replicated: Replicated) -> Response:
    """Lead on to a page after a write that this server made."""
    return told(visit.go(path), f"{said} {who_has_it(replicated)}".strip())


def submitted(visit: Visit, done: Submitted) -> Response:
    """Lead to the change request, whose fate its page shows."""
    return told(visit.go(f"{REQUESTS}/{done.request.id}"), "Submitted to the Master.")


def on_a_slave(visit: Visit) -> bool:
    """Whether what is saved here is submitted to a Master."""
    return bool(visit.services.replication.status()["role"] == Role.SLAVE)


def who_has_it(replicated: Replicated) -> str:
    """In a few words; nothing where there is one server alone."""
    if replicated.of == 1:
        return ""
    waits = "" if replicated.confirmed else " No other server has confirmed it yet; it is sent again by itself."
    return f"On {replicated.have} of {replicated.of} servers.{waits}"


class NameTaken:
    """A name that is taken is a mistake of the field name."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Conflict) and error.code == "name-taken":
            mistake = Mistake("name", error.message, error.remedy)
            raise InvalidInput(error.message, remedy=error.remedy, code=error.code, mistakes=[mistake]) from error
