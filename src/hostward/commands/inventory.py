"""Many sessions at once: import as one change, export."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from hostward.commands.locks import held_by, locks_of_others
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Beforehand, Once, Submitted, write
from hostward.domain.changes import Operation, Put
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.inventory import (
    MAX_PROFILES,
    Format,
    ImportPlan,
    ParsedInventory,
    Row,
    export_csv,
    export_json,
    export_profiles,
    export_putty,
    new_session_id,
    parse,
    plan_import,
)
from hostward.domain.launching import EMULATORS
from hostward.domain.replicated import Replicated
from hostward.domain.sessions import TYPES, SessionType
from hostward.registry.group import Reader


@dataclass(frozen=True, slots=True)
class Imported:
    """An import's outcome, in rows. `mistakes` are those of the `skipped` rows; `notes` say what of the others can't be
    carried. `replicated` is None for a dry run, whose `revision` is the one that it was compared with, and whose
    `first` are the first sessions it would create or change."""

    imported: int
    updated: int
    unchanged: int
    skipped: int
    mistakes: Sequence[Mistake]
    revision: int
    replicated: Replicated | None
    first: Sequence[Row] = ()
    locked: Sequence[str] = ()
    """Of a dry run: who edits sessions that it would change, in sentences."""
    notes: Sequence[Mistake] = ()


async def import_sessions(
    services: Services,
    actor: Actor,
    data: bytes,
    *,
    format: Format | None = None,
    skip_invalid: bool = False,
    dry_run: bool = False,
    once: Once | None = None,
) -> Imported | Submitted:
    """All of a file's sessions as one change, which every Slave that can be reached has when this returns; sessions are
    matched by name, and those that the file doesn't name stay. On a Slave the whole file becomes one change request.

    Raises InvalidInput with every mistake, unless `skip_invalid`; then nothing was changed."""
    parsed = await asyncio.to_thread(parse, data, format)
    if not skip_invalid:
        parsed.require_all_good()
    planned = await Beforehand.look(services, lambda reader: _plan(reader, parsed, once))
    if dry_run:
        seen = _outcome(planned.found, parsed, planned.position.revision, None)
        return replace(seen, locked=await _edited(services, actor, planned.found))
    asked = False

    def decide(reader: Reader) -> Sequence[Operation]:
        nonlocal asked
        asked = True
        return planned.at(reader).puts

    done = await write(
        services, actor, "sessions-imported", decide, once=once, all_servers=True, rows=len(parsed.sessions)
    )
    if isinstance(done, Submitted):
        return done
    committed, decided = done.committed, planned.found
    if not asked and once is not None:
        made = committed.revision if committed.changed else None
        decided = await asyncio.to_thread(_plan_as_first_made, services, parsed, made, once)
    return _outcome(decided, parsed, committed.revision, done.replicated)


async def export_sessions(services: Services, format: Format) -> Iterator[bytes]:
    """All sessions by name, at one revision, piece by piece; the iterator may be used in any thread. Where the format
    is an emulator's, those of its types. Raises InvalidInput where there are too many for it."""

    def read() -> Iterator[bytes]:
        with services.group.read() as reader:
            elements = reader.all_sessions()
            _, profiles = reader.search_sessions(None, type=SessionType.IBM_3270.value, page=1, per_page=1, sort="name")
        if format is Format.X3270 and profiles > MAX_PROFILES:
            raise InvalidInput(
                f"There are {profiles:,} sessions for x3270; at most {MAX_PROFILES:,} are written as profiles.",
                remedy="Export them as CSV or JSON.",
            )
        bodies = (element.json() for element in elements)
        own = next((e.types for e in EMULATORS if e.program.value == format.value), TYPES)
        bodies = (body for body in bodies if body["type"] in own)
        if format in (Format.X3270, Format.PUTTY):
            return export_profiles(bodies) if format is Format.X3270 else export_putty(bodies)
        return export_csv(bodies) if format is Format.CSV else export_json(bodies)

    return await asyncio.to_thread(read)


async def _edited(services: Services, actor: Actor, plan: ImportPlan) -> Sequence[str]:
    """Who else edits sessions that the plan would change."""
    locks = await locks_of_others(services, actor)
    return held_by(services, [locks[put.id] for put in plan.puts if put.id in locks]) if locks else []


def _plan(reader: Reader, parsed: ParsedInventory, once: Once | None) -> ImportPlan:
    return plan_import(reader.session_bodies_by_name_key(), parsed, _new_ids(once))


def _new_ids(once: Once | None) -> Callable[[], str]:
    if once is None:
        return new_session_id
    numbers = count()
    return lambda: once.id(next(numbers))


def _plan_as_first_made(services: Services, parsed: ParsedInventory, revision: int | None, once: Once) -> ImportPlan:
    """What a repeated request's first one did, from the change it made: new sessions have ids derived from the request.
    Where it made none (None), or the change is no longer kept, all rows count as unchanged."""
    change = services.group.change(revision) if revision is not None else None
    puts = [op for op in change.operations() if isinstance(op, Put)] if change else []
    own = {once.id(number) for number in range(len(puts))}
    imported = sum(put.id in own for put in puts)
    return ImportPlan(tuple(puts), imported, len(puts) - imported, len(parsed.sessions) - len(puts))


def _outcome(plan: ImportPlan, parsed: ParsedInventory, revision: int, replicated: Replicated | None) -> Imported:
    return Imported(
        plan.imported,
        plan.updated,
        plan.unchanged,
        parsed.skipped,
        parsed.mistakes,
        revision,
        replicated,
        plan.first if replicated is None else (),
        notes=parsed.notes,
    )
