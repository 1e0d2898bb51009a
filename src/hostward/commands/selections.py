"""Many sessions at once, chosen one by one or by a search: edit, delete. Each is one change, of all of them or none."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Submitted, write
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import Conflict, InvalidInput, Mistake
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import BULK, DECLARED, KIND, validate_fields
from hostward.domain.suggestions import listed, shown
from hostward.registry.group import Element, Reader

MAX_NAMED: Final = 5
MAX_MISTAKES: Final = 100
MAX_IDS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Those with the `ids`; or, where that is None, all that match `q` and `type`. `expected`: how many the caller
    takes them to be; where there are more or fewer, nothing is done."""

    ids: tuple[str, ...] | None = None
    q: str | None = None
    type: str | None = None
    expected: int | None = None


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
    services: Services, actor: Actor, selection: Selection, *, confirmed: bool, plan: str = ""
) -> Changed | Submitted:
    """`plan` is the confirmation's. Raises ConfirmationRequired, Conflict "selection-changed"."""

    def decide(reader: Reader) -> _Decided:
        chosen = _chosen(reader, selection, plan)
        return _Decided([Delete(KIND, element.id) for element in chosen], chosen)

    decided = await Beforehand.look(services, decide)
    chosen = decided.found.chosen
    said = [_named(chosen), "Whoever uses them can't open them any more."]
    confirm(confirmed, f"Deleting {_counted(len(chosen))}", said, _tag(chosen))
    return await _write(services, actor, "sessions-deleted", decided)


async def edit_sessions(
    services: Services,
    actor: Actor,
    selection: Selection,
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
        chosen = _chosen(reader, selection, plan)
        for element in chosen:
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
        return _Decided(operations, chosen)

    decided = await Beforehand.look(services, decide)
    chosen, count = decided.found.chosen, len(decided.found.operations)
    labels = {f.name: f.label for f in DECLARED}
    set_to = [f"{labels[name]} becomes {_value(value)}." for name, value in fields.items()]
    already = len(chosen) - count
    same = [f"{_counted(already)} {'has' if already == 1 else 'have'} these values already."] if already else []
    confirm(confirmed, f"Changing {_counted(count)}", [*set_to, _named(chosen), *same], _tag(chosen))
    return await _write(services, actor, "sessions-edited", decided)


async def _write(services: Services, actor: Actor, act: str, decided: Beforehand[_Decided]) -> Changed | Submitted:
    count = len(decided.found.operations)
    done = await write(
        services, actor, act, lambda reader: decided.at(reader).operations, all_servers=True, sessions=count
    )
    if isinstance(done, Submitted):
        return done
    return Changed(len(decided.found.operations), done.committed.revision, done.replicated)


def _chosen(reader: Reader, selection: Selection, plan: str) -> list[Element]:
    """Raises Conflict where they aren't what the caller has seen, InvalidInput where there are none."""
    ids = selection.ids
    if ids is None:
        ids = tuple(reader.matching_sessions(selection.q, selection.type))
    found = [e for e in (reader.get(KIND, i) for i in dict.fromkeys(ids)) if e is not None]
    expected = len(set(ids)) if selection.expected is None else selection.expected
    if len(found) != expected:
        raise Conflict(
            f"{expected:,} sessions were chosen, and now there are {len(found):,} of them; nothing was changed.",
            remedy="Look at the list again, and choose anew.",
            code="selection-changed",
        )
    if plan and plan != _tag(found):
        raise Conflict(
            "Other sessions match now than when the confirmation was asked for; nothing was changed.",
            remedy="Look at the list again, and choose anew.",
            code="selection-changed",
        )
    if not found:
        raise InvalidInput("No session is chosen.", remedy="Choose at least one.")
    return found


def _tag(chosen: Sequence[Element]) -> str:
    """Names exactly these sessions."""
    return hashlib.sha256("\n".join(sorted(e.id for e in chosen)).encode()).hexdigest()[:32]


def _counted(count: int) -> str:
    return "1 session" if count == 1 else f"{count:,} sessions"


def _named(chosen: Sequence[Element]) -> str:
    names = [shown(e.json()["name"]) for e in chosen[:MAX_NAMED]]
    more = len(chosen) - len(names)
    return ", ".join(names) + (f" and {more:,} more." if more else ".")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    return shown(str(value)) if value not in ("", None) else "empty"


def _in_session(mistake: Mistake, name: str) -> Mistake:
    return Mistake(mistake.field, f"{shown(name)}: {mistake.problem}", mistake.remedy)
