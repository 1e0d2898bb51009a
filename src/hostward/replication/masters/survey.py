"""Asking every other member, at once, where it stands: before a Master accepts changes, and before a promotion."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from hostward.domain.changes import Position
from hostward.domain.errors import HostwardError
from hostward.replication.group.members import Member
from hostward.replication.masters.claims import Claims, Told
from hostward.replication.parts import Parts
from hostward.replication.peers.messages import Message, read_status

ASK_TIMEOUT_S = 3.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Another member's status (messages: status), and where it stands."""

    member: Member
    position: Position
    status: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Survey:
    """Who answered, and who couldn't be asked."""

    answered: tuple[Answer, ...]
    silent: tuple[Member, ...]


async def survey(p: Parts, claims: Claims) -> Survey:
    """Ask every other member where it stands. What they tell of later epochs is acted upon."""

    async def ask(them: Member) -> Answer:
        question = Message("status", {"epoch": str(claims.epoch)})
        position, data = read_status(them.name, (await p.links.ask(them, question, timeout_s=ASK_TIMEOUT_S)).data)
        return Answer(them, position, data)

    others = p.others()
    answers = await asyncio.gather(*(ask(m) for m in others), return_exceptions=True)
    answered, silent = [], []
    for them, answer in zip(others, answers, strict=True):
        if isinstance(answer, HostwardError):
            silent.append(them)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            answered.append(answer)
            claims.hear(answer.status.get("records", ()), Told(them.server_id, answer.position.epoch))
    return Survey(tuple(answered), tuple(silent))
