"""What happens to a change request in the registry of the server that writes it: each function decides in a commit.

Deposited, a request is two elements: what is known of it, and its content. Implementing is one change that holds the
request's operations and its fate, so that it can't happen twice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import accumulate
from typing import Final

import orjson

from hostward.domain import settings
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import Conflict, InvalidInput, NotFound, PeerError, RequestConflicts
from hostward.domain.favourites import KIND as FAVOURITES
from hostward.domain.people import PASSWORD_KIND, USER_KIND, new_generation
from hostward.domain.requests import (
    CONTENT_KIND,
    KIND,
    MAX_CONFLICTS,
    ChangeRequest,
    Contradiction,
    Now,
    State,
    Touched,
    class_of,
    contradictions,
    implements_itself,
    summary_of,
    unpack,
    wanted_bytes,
)
from hostward.domain.sessions import KIND as SESSION
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key
from hostward.registry.group import Reader
from hostward.replication.change_requests.outbox import content_body, content_of
from hostward.replication.group.members import MEMBERSHIP_KINDS

FORBIDDEN_KINDS: Final = (*MEMBERSHIP_KINDS, KIND, CONTENT_KIND)
"""What no request may touch."""

KEPT_DECIDED: Final = 2_000
KEPT_BYTES: Final = 256 << 20
KEPT_DAYS: Final = 30
MAX_UNSEEN: Final = 5_000
MAX_UNSEEN_BYTES: Final = 128 << 20
"""Of one server, within KEPT_DAYS and since somebody last decided on one of its: so much goes through by the group's
policy."""
HELD_BACK: Final = (
    "So much from this server has gone through lately without being looked at that this one waits. "
    "Once an administrator has decided on it, what comes after it goes through again."
)
MAX_WAITING: Final = 1_000
MAX_WAITING_BYTES: Final = 128 << 20
"""Of one server."""

TAKEN_BACK: Final = (State.WITHDRAWN, State.REPLACED)
"""By its author, before it was decided."""

POLICY: Final = "the group's policy"
_FORCED: Final = ("changed", "gone", "there", "unknown")
_ID = re.compile(r"[0-9a-f]{32}(?:[0-9a-f]{32})?").fullmatch


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request that may be deposited. `touched` is empty for one that its author has taken back before."""

    request: ChangeRequest
    content: bytes
    touched: tuple[Touched, ...]


def arrived(request: ChangeRequest, content: bytes, *, sender: str, sender_name: str, at: str) -> Arrived:
    """What a server submits, as far as it can be believed: where it comes from is proved, and what it would do is read
    from its content; only the author's name and the time are that server's word. Raises PeerError "request-invalid"
    for what can't ever be deposited."""
    if request.origin != sender:
        raise _never("A server can only submit its own change requests.")
    if not _ID(request.id) or request.state not in (State.ON_ITS_WAY, *TAKEN_BACK):
        raise _never("A change request has no such id or state.")
    touched: tuple[Touched, ...] = ()
    if request.state is State.ON_ITS_WAY:
        try:
            touched = unpack(content)
        except InvalidInput as error:
            raise _never(error.message) from error
        if not touched or len({(t.kind, t.id) for t in touched}) != len(touched):
            raise _never("A change request names no element, or one twice.")
        for t in touched:
            if t.kind in FORBIDDEN_KINDS:
                raise _never(f"Elements of the kind {shown(t.kind)} can't be changed by a request.")
    fields = ChangeRequest(
        id=request.id,
        author=str(request.author)[:200],
        origin=sender,
        origin_name=sender_name,
        submitted=str(request.submitted)[:40],
        revision=int(request.revision),
        summary=summary_of(touched) if touched else str(request.summary)[:500],
        class_=class_of(touched) if touched else request.class_,
        elements=len(touched),
        size_bytes=len(content) if touched else 0,
        wanted_bytes=wanted_bytes(touched),
        state=request.state,
        set_aside=request.set_aside is True,
        replaces=str(request.replaces)[:64],
        received=at,
    )
    if request.state is not State.ON_ITS_WAY:
        by = f"{fields.author}, on {sender_name}"
        fields = fields.decide(request.state, by=by, at=at, reason=str(request.reason))
    return Arrived(fields, content, touched)


def _never(message: str) -> PeerError:
    return PeerError(message, code="request-invalid")


def deposit(
    reader: Reader, new: Arrived, at: str, *, implement: bool = True, of_the_master: bool = False
) -> Sequence[Operation]:
    """Take in a request that has arrived; nothing for one that is there already, unless its author takes it back while
    it waits. Where its class and the group's policy allow it (and `implement` does), it is implemented in the same
    change. One `of_the_master` itself may replace any server's. Raises PeerError "busy" where too many of its server's
    wait."""
    request = new.request
    if len(new.touched) == 1 and new.touched[0].kind in (PASSWORD_KIND, FAVOURITES):
        (one,) = new.touched
        verb = "Set" if one.kind == PASSWORD_KIND else one.act.capitalize()
        request = replace(request, summary=f"{verb} the {label_in(reader, one)}")
    there = find(reader, request.id)
    if there is not None:
        takes_back = there.state is State.WAITING and request.state is not State.ON_ITS_WAY
        if not takes_back or there.origin != request.origin:
            return []
        return [*_taken_back(_fate_of(there, request)), *pruned(reader, at)]
    if request.state is not State.ON_ITS_WAY:
        return [_head(request), *pruned(reader, at)]
    known = every(reader)
    _check_room(known, request)
    operations: list[Operation] = [
        *_contents(request, new.content),
        *_replacing(reader, request, at, any_server=of_the_master),
    ]
    policy = str(settings.replicated_value(reader, settings.CHANGE_REQUESTS))
    by_itself = implement and implements_itself(request.class_, policy)
    held_back = HELD_BACK if by_itself and not _has_room_unseen(known, request, at) else ""
    if by_itself and not held_back and not found_against(reader, request, new.touched):
        operations += _implementing(reader, request, new.touched, by=POLICY, at=at)
    else:
        operations.append(_head(replace(request, state=State.WAITING, reason=held_back)))
    return [*operations, *_old(known, at)]


def implement(reader: Reader, request_id: str, *, by: str, at: str, force: bool) -> Sequence[Operation]:
    """Raises NotFound, Conflict where its fate is decided already, RequestConflicts with all reasons, of which `force`
    overrides those of what others have changed meanwhile."""
    request = waiting(reader, request_id)
    touched = touched_by(reader, request_id)
    assert touched, "a request that waits has a content"
    against = found_against(reader, request, touched)
    if force:
        against = [c for c in against if c.code not in _FORCED]
    if against:
        raise RequestConflicts(
            f"The change request can't be implemented as it is: {against[0].element}: {against[0].problem}",
            remedy="Edit and resubmit it, or reject it."
            if force or any(c.code not in _FORCED for c in against)
            else "Look at it again, then edit and resubmit it, reject it, or implement it with “force”: true.",
            conflicts=[f"{c.element}: {c.problem}" for c in against],
        )
    return [*_implementing(reader, request, touched, by=by, at=at), *pruned(reader, at)]


def close(reader: Reader, request_id: str, state: State, *, by: str, at: str, reason: str = "") -> Sequence[Operation]:
    """Reject or withdraw a waiting request. Raises NotFound, Conflict."""
    decided = waiting(reader, request_id).decide(state, by=by, at=at, reason=reason)
    return [*([_head(decided)] if state is State.REJECTED else _taken_back(decided)), *pruned(reader, at)]


def find(reader: Reader, request_id: str) -> ChangeRequest | None:
    element = reader.get(KIND, request_id)
    return ChangeRequest.from_json(element.json()) if element else None


def every(reader: Reader) -> list[ChangeRequest]:
    return [_read(e.body) for e in reader.list(KIND)]


@lru_cache(10_000)
def _read(body: bytes) -> ChangeRequest:
    """Most are read again with each request that comes."""
    return ChangeRequest.from_json(orjson.loads(body))


def waiting(reader: Reader, request_id: str) -> ChangeRequest:
    """Raises NotFound, Conflict where it doesn't wait."""
    request = find(reader, request_id)
    if request is None:
        raise not_found(request_id)
    if request.state is not State.WAITING:
        raise decided_already(request)
    return request


def not_found(request_id: str) -> NotFound:
    return NotFound(f"There is no change request {shown(request_id)}.", remedy="GET change-requests lists them.")


def decided_already(request: ChangeRequest) -> Conflict:
    return Conflict(
        f"The change request is {request.state.value} already, by {request.decided_by}, at {request.decided_at}.",
        remedy="Make a new one where something is still to be changed.",
        code="request-decided",
    )


def touched_by(reader: Reader, request_id: str) -> tuple[Touched, ...]:
    """What a deposited request would change; nothing where its author has taken it back: then it isn't kept."""
    element = reader.get(CONTENT_KIND, request_id)
    return unpack(content_of(element.json())) if element else ()


def looking(reader: Reader, kind: str, id_: str) -> Now | None:
    """requests.Look on a registry."""
    found = reader.get(kind, id_)
    return Now(found.hash.hex(), found.revision, found.json()) if found else None


def found_against(reader: Reader, request: ChangeRequest, touched: Sequence[Touched]) -> list[Contradiction]:
    """All that stands against implementing a request at this moment, at most MAX_CONFLICTS."""
    found = contradictions(request, touched, lambda kind, id_: looking(reader, kind, id_))
    found += [_changed_user(reader, request, t) for t in touched if _of_changed_user(reader, request, t)]
    renamed = {t.id: t for t in touched if t.kind == SESSION}
    for t in renamed.values():
        name = str(t.wanted.get("name", "")) if t.wanted else ""
        other = reader.find_session_by_name(name) if name else None
        if other is None or other.id == t.id:
            continue
        gives_way = renamed.get(other.id)
        if gives_way and (
            gives_way.wanted is None or name_key(str(gives_way.wanted.get("name", ""))) != name_key(name)
        ):
            continue
        found.append(Contradiction(t.label, "name-taken", f"There is another session named {shown(name)}."))
    return found[:MAX_CONFLICTS]


def label_in(reader: Reader, touched: Touched) -> str:
    """The element as a person knows it, where that is said elsewhere: whose password it is, and with which role;
    whose favourites they are."""
    user = reader.get(USER_KIND, touched.id) if touched.kind in (PASSWORD_KIND, FAVOURITES) else None
    if user is None:
        return touched.label
    body = user.json()
    if touched.kind == FAVOURITES:
        return f"favourites of {shown(body['name'])}"
    return f"password of {shown(body['name'])}" + (f" ({body['role']})" if body.get("role") else "")


def _of_changed_user(reader: Reader, request: ChangeRequest, touched: Touched) -> bool:
    """A password of a user who was changed since: who asked for it might not have been allowed to by now."""
    user = reader.get(USER_KIND, touched.id) if touched.kind == PASSWORD_KIND else None
    return user is not None and user.revision > request.revision


def _changed_user(reader: Reader, request: ChangeRequest, touched: Touched) -> Contradiction:
    problem = "The user was changed by somebody else since; see whether the role is what it was."
    return Contradiction(label_in(reader, touched), "changed", problem)


def pruned(reader: Reader, at: str) -> list[Operation]:
    """What forgets the oldest decided requests beyond KEPT_DECIDED and KEPT_BYTES; never one that waits, nor one that
    was implemented or rejected within KEPT_DAYS."""
    return _old(every(reader), at)


def _old(known: Sequence[ChangeRequest], at: str) -> list[Operation]:
    decided = sorted((r for r in known if not r.open), key=lambda r: r.decided_at, reverse=True)
    sizes = accumulate(0 if r.state in TAKEN_BACK else r.size_bytes for r in decided)
    old = [
        r
        for n, (r, size) in enumerate(zip(decided, sizes, strict=True))
        if (n >= KEPT_DECIDED or size > KEPT_BYTES) and (r.state in TAKEN_BACK or not _lately(r, at))
    ]
    return [Delete(kind, r.id) for r in old for kind in (KIND, CONTENT_KIND)]


def _lately(request: ChangeRequest, at: str) -> bool:
    return datetime.fromisoformat(request.decided_at) >= datetime.fromisoformat(at) - timedelta(days=KEPT_DAYS)


def _has_room_unseen(known: Sequence[ChangeRequest], request: ChangeRequest, at: str) -> bool:
    """Whether nobody need be asked. All that goes through is kept for weeks, as is what it asked for: one Slave that
    isn't what it was would fill the disks of its group."""
    theirs = [r for r in known if r.origin == request.origin and r.state in (State.IMPLEMENTED, State.REJECTED)]
    seen = max((r.decided_at for r in theirs if r.decided_by != POLICY), default="")
    unseen = [r for r in theirs if r.decided_by == POLICY and r.decided_at > seen and _lately(r, at)]
    size = sum(r.size_bytes + r.wanted_bytes for r in (*unseen, request))
    return len(unseen) < MAX_UNSEEN and size <= MAX_UNSEEN_BYTES


def _implementing(
    reader: Reader, request: ChangeRequest, touched: Sequence[Touched], *, by: str, at: str
) -> list[Operation]:
    done = request.decide(State.IMPLEMENTED, by=by, at=at, revision=reader.position().revision + 1)
    return [*(_operation(t) for t in touched), _head(done)]


def _operation(touched: Touched) -> Operation:
    """A password begins a generation of its own, whatever the request says: else it could make ended logins good."""
    if touched.kind != PASSWORD_KIND or touched.wanted is None:
        return touched.operation
    return Put(PASSWORD_KIND, touched.id, canonical({**touched.wanted, "generation": new_generation()}))


def _replacing(reader: Reader, request: ChangeRequest, at: str, *, any_server: bool) -> list[Operation]:
    """The request that this one replaces, where it is the same server's and still waits."""
    old = find(reader, request.replaces) if request.replaces else None
    if old is None or old.state is not State.WAITING or not (any_server or old.origin == request.origin):
        return []
    return _taken_back(old.decide(State.REPLACED, by=request.author, at=at))


def _taken_back(request: ChangeRequest) -> list[Operation]:
    """Withdrawn or replaced, without its content: else a server could fill the others' disks with such."""
    return [_head(request), Delete(CONTENT_KIND, request.id)]


def _fate_of(there: ChangeRequest, taken_back: ChangeRequest) -> ChangeRequest:
    return there.decide(taken_back.state, by=taken_back.decided_by, at=taken_back.decided_at, reason=taken_back.reason)


def _check_room(known: Sequence[ChangeRequest], request: ChangeRequest) -> None:
    theirs = [r for r in known if r.origin == request.origin and r.open]
    size = sum(r.size_bytes for r in theirs) + request.size_bytes
    if len(theirs) >= MAX_WAITING or size > MAX_WAITING_BYTES:
        raise PeerError(
            f"{len(theirs):,} change requests of this server wait on the Master already.",
            remedy="Have them implemented or rejected there.",
            code="busy",
        )


def _head(request: ChangeRequest) -> Put:
    return Put(KIND, request.id, canonical(request.to_json()))


def _contents(request: ChangeRequest, content: bytes) -> list[Put]:
    return [Put(CONTENT_KIND, request.id, canonical(content_body(content)))] if content else []
