"""Many sessions at once, chosen one by one or by a search: edit, delete. Each is one change, of all of them or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.choosing import Noun, Selection, chosen, named, tag
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Submitted, write
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import BULK, DECLARED, KIND, validate_fields
from hostward.domain.suggestions import listed, shown
from hostward.registry.group import Element, Reader

MAX_MISTAKES: Final = 100
SESSIONS: Final = Noun(KIND, "session", "sessions")


@dataclass(frozen=True, slots=True)
class Matching:
    """All that match `q` and `type`."""

    q: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Changed:
    """How many sessions were changed or deleted, in which revision, and who has it."""

    sessions: int
    revision: int
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class _Decided:
    """What to do, and of which sessions it was chosen."""

    operations: Sequence[Operation]
    chosen: Sequence[Element]


async def delete_sessions(
    services: Services, actor: Actor, selection: Selection, matching: Matching, *, confirmed: bool, plan: str = ""
) -> Changed | Submitted:
    """`plan` is the confirmation's. Raises ConfirmationRequired, Conflict "selection-changed"."""

    def decide(reader: Reader) -> _Decided:
        found = _chosen(reader, selection, matching, plan)
        return _Decided([Delete(KIND, element.id) for element in found], found)

    decided = await Beforehand.look(services, decide)
    found = decided.found.chosen
    said = [named(found), "Whoever uses them can't open them any more."]
    confirm(confirmed, f"Deleting {SESSIONS.counted(len(found))}", said, tag(found))
    return await _write(services, actor, "sessions-deleted", decided)


async def edit_sessions(
    services: Services,
    actor: Actor,
    selection: Selection,
    matching: Matching,
    fields: Mapping[str, Any],
    *,
    confirmed: bool,
    plan: str = "",
) -> Changed | Submitted:
    """Set these fields in all of them; the others stay. `plan` is the confirmation's. Raises ConfirmationRequired,
    Conflict "selection-changed", InvalidInput with a Mistake for what doesn't go with one of the sessions."""
    names = [f.name for f in BULK]
    if not fields or not set(fields) <= set(names):
        raise InvalidInput(
            "No field is given." if not fields else "Not every field can be set in many sessions at once.",
            remedy=f"Use {listed(names)}.",
        )

    def decide(reader: Reader) -> _Decided:
        operations: list[Operation] = []
        mistakes: list[Mistake] = []
        found = _chosen(reader, selection, matching, plan)
        for element in found:
            before = element.json()
            try:
                body = canonical(validate_fields({**before, **fields}))
            except InvalidInput as error:
                mistakes += [_in_session(m, before["name"]) for m in error.mistakes]
                if len(mistakes) >= MAX_MISTAKES:
                    break
                continue
            if body != element.body:
                operations.append(Put(KIND, element.id, body))
        if mistakes:
            raise InvalidInput(
                "The fields don't go with every session that is chosen; nothing was changed.",
                remedy="Choose the others alone, or other values.",
                code="session-invalid",
                mistakes=mistakes,
            )
        return _Decided(operations, found)

    decided = await Beforehand.look(services, decide)
    found, count = decided.found.chosen, len(decided.found.operations)
    labels = {f.name: f.label for f in DECLARED}
    set_to = [f"{labels[name]} becomes {_value(value)}." for name, value in fields.items()]
    already = len(found) - count
    same = [f"{SESSIONS.counted(already)} {'has' if already == 1 else 'have'} these values already."] if already else []
    confirm(confirmed, f"Changing {SESSIONS.counted(count)}", [*set_to, named(found), *same], tag(found))
    return await _write(services, actor, "sessions-edited", decided)


async def _write(services: Services, actor: Actor, act: str, decided: Beforehand[_Decided]) -> Changed | Submitted:
    count = len(decided.found.operations)
    done = await write(
        services, actor, act, lambda reader: decided.at(reader).operations, all_servers=True, sessions=count
    )
    if isinstance(done, Submitted):
        return done
    return Changed(len(decided.found.operations), done.committed.revision, done.replicated)


def _chosen(reader: Reader, selection: Selection, matching: Matching, plan: str) -> list[Element]:
    all_of_them = reader.matching_sessions(matching.q, matching.type) if selection.ids is None else ()
    return chosen(reader, SESSIONS, selection, all_of_them, plan)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return shown(str(value)) if value not in ("", None) else "empty"


def _in_session(mistake: Mistake, name: str) -> Mistake:
    return Mistake(mistake.field, f"{shown(name)}: {mistake.problem}", mistake.remedy)
