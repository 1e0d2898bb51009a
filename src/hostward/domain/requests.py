"""Change requests: what a change made on a Slave is until it is implemented on the Master (guide, 5.13.2).

A request names the elements that it would change, what each was where it was made (its base), and what each should be.
Whatever a request says of itself is the word of the server that it came from: a message proves a server, not a person.
So its summary, its class and its conflicts are computed from its content, wherever they are shown or decided on.

    on its way ──carried──► waiting ──implement──► implemented
        │                     ├──────reject──────► rejected
        └──withdraw───────────┼──────withdraw────► withdrawn
                              └──edit────────────► replaced   (by a new request)
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final

import orjson

from hostward.domain import assignments, directories, favourites, packages, people, sessions, settings
from hostward.domain.changes import Body, Delete, Operation, Put, canonical, element_hash
from hostward.domain.errors import HostwardError, InvalidInput
from hostward.domain.suggestions import shown
from hostward.domain.texts import name_key

KIND: Final = "change-request"
CONTENT_KIND: Final = "change-request-content"
MAX_PACKED_BYTES: Final = 4 << 20
MAX_RAW_BYTES: Final = 256 << 20
MAX_CONFLICTS: Final = 100
MAX_REASON: Final = 1_000


class State(StrEnum):
    """Where a request is in its life. The first is known only where the request was made."""

    ON_ITS_WAY = "on-its-way"
    WAITING = "waiting"
    IMPLEMENTED = "implemented"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REPLACED = "replaced"


OPEN: Final = (State.ON_ITS_WAY, State.WAITING)


class Class(StrEnum):
    """Who may let a request through: `configuration` where the group's policy says so, `security` only by an
    administrator of the Master."""

    CONFIGURATION = "configuration"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class KindRules:
    """What a kind of element means for requests. `check` answers the body as it is stored, or raises InvalidInput;
    `refers_to` names the elements (kind, id) that must be there. What is in a `hidden` one is shown to nobody."""

    noun: str
    class_of: Callable[[str], Class]
    check: Callable[[Body], Body] = lambda body: body
    refers_to: Callable[[Body], Iterable[tuple[str, str]]] = lambda _: ()
    hidden: bool = False


def _setting_class(name: str) -> Class:
    found = settings.SETTINGS.get(name)
    return Class.CONFIGURATION if found is not None and not found.security else Class.SECURITY


def _security(_: str) -> Class:
    return Class.SECURITY


def _groups(body: Body) -> Iterable[tuple[str, str]]:
    return [(people.GROUP_KIND, id_) for id_ in body["groups"]]


def _groups_and_directory(body: Body) -> Iterable[tuple[str, str]]:
    directory = body.get("directory", "")
    return [*_groups(body), *([(directories.KIND, name_key(directory))] if directory else ())]


KINDS: Final[Mapping[str, KindRules]] = {
    sessions.KIND: KindRules("session", lambda _: Class.CONFIGURATION, sessions.validate_fields),
    settings.KIND: KindRules("setting", _setting_class),
    people.USER_KIND: KindRules("user", _security, people.check_user, _groups_and_directory),
    people.GROUP_KIND: KindRules("user group", _security, people.check_group, _groups),
    assignments.KIND: KindRules("assignment", _security, assignments.check_assignment, assignments.refers_to),
    directories.KIND: KindRules("directory", _security, directories.check_directory),
    packages.KIND: KindRules("package", _security, packages.check_package),
    people.PASSWORD_KIND: KindRules("password", _security, people.check_password, hidden=True),
    # Stars ask for no request; of those that a promotion left behind, only their server says whose they are.
    favourites.KIND: KindRules(favourites.NOUN, _security, favourites.check_favourites, hidden=True),
}
"""A kind that isn't here counts as security."""

UNDECLARED: Final = KindRules("element", lambda _: Class.SECURITY)


def rules_of(kind: str) -> KindRules:
    return KINDS.get(kind, UNDECLARED)


@dataclass(frozen=True, slots=True)
class Touched:
    """An element that a request would change. `base_hash` is what it was where the request was made: "" for not there,
    None for what isn't known any more (then it is what it was at the request's revision). `base` is its body then, None
    where there was none or it isn't known; `wanted` the new one, None to delete the element."""

    kind: str
    id: str
    base_hash: str | None
    base: Body | None
    wanted: Body | None

    @property
    def operation(self) -> Operation:
        if self.wanted is None:
            return Delete(self.kind, self.id)
        return Put(self.kind, self.id, canonical(self.wanted))

    @property
    def wanted_hash(self) -> str:
        return "" if self.wanted is None else element_hash(self.kind, self.id, canonical(self.wanted)).hex()

    @property
    def act(self) -> str:
        """create, change or delete."""
        return "delete" if self.wanted is None else "create" if self.base_hash == "" else "change"

    @property
    def label(self) -> str:
        """The element as a person knows it."""
        name = (self.wanted or self.base or {}).get("name")
        return f"{rules_of(self.kind).noun} {shown(name if isinstance(name, str) else self.id)}"


@dataclass(frozen=True, slots=True)
class Now:
    """An element as it is now: where it isn't there, there is no Now."""

    hash: str
    revision: int
    body: Body


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A request without its content. `author` and `submitted` are the word of the server `origin`; `origin` itself is
    proved, and `received` is the Master's time. `revision` is that of the registry where it was made; `size_bytes` its
    content's, `wanted_bytes` that of what the elements would become, unpacked. `set_aside`: it is a change that a
    promotion left behind. The `decided_…` fields are empty while it is open; `decided_revision` is the change that
    implemented it."""

    id: str
    author: str
    origin: str
    origin_name: str
    submitted: str
    revision: int
    summary: str
    class_: Class
    elements: int
    size_bytes: int
    state: State = State.ON_ITS_WAY
    set_aside: bool = False
    replaces: str = ""
    received: str = ""
    decided_by: str = ""
    decided_at: str = ""
    decided_revision: int = 0
    reason: str = ""
    wanted_bytes: int = 0

    @property
    def open(self) -> bool:
        return self.state in OPEN

    def decide(self, state: State, *, by: str, at: str, revision: int = 0, reason: str = "") -> ChangeRequest:
        """The same with its fate."""
        return replace(
            self, state=state, decided_by=by, decided_at=at, decided_revision=revision, reason=reason[:MAX_REASON]
        )

    def to_json(self) -> dict[str, Any]:
        value = asdict(self)
        value["class"] = value.pop("class_").value
        value["state"] = self.state.value
        return value

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> ChangeRequest:
        """Raises KeyError, TypeError or ValueError for what is no request."""
        fields = dict(value)
        given, state = fields.pop("class"), State(fields.pop("state"))
        # Earlier builds had a class "own", for favourites alone, and kept such requests.
        class_ = Class.SECURITY if given == "own" else Class(given)
        return ChangeRequest(**fields, class_=class_, state=state)


def pack(touched: Sequence[Touched], *, limited: bool = True) -> bytes:
    """A request's content as bytes. Raises InvalidInput where it is too large for one, unless not `limited`: what a
    promotion has left behind is kept, however large it is."""
    rows = [[t.kind, t.id, t.base_hash, t.base, t.wanted] for t in touched]
    raw = canonical(rows)
    packed = zlib.compress(raw, 6)
    if limited and (len(packed) > MAX_PACKED_BYTES or len(raw) > MAX_RAW_BYTES):
        raise InvalidInput(
            f"The change is too large to be submitted from a Slave: {len(packed) / 1e6:,.1f} MB packed, where at most"
            f" {MAX_PACKED_BYTES / 1e6:,.1f} MB can be.",
            remedy="Make it on the Master, or in smaller parts.",
            code="request-too-large",
        )
    return packed


def unpack(packed: bytes) -> tuple[Touched, ...]:
    """The inverse of pack. Raises InvalidInput for anything else."""
    try:
        inflater = zlib.decompressobj()
        raw = inflater.decompress(packed, MAX_RAW_BYTES)
        if not inflater.eof:
            raise ValueError("it is cut off or too large")
        return tuple(_touched(row) for row in orjson.loads(raw))
    except (zlib.error, ValueError, TypeError) as error:
        raise InvalidInput(f"A change request's content can't be read: {error}.", code="request-invalid") from error


def _touched(row: Any) -> Touched:
    kind, id_, base_hash, base, wanted = row
    if not (isinstance(kind, str) and kind and isinstance(id_, str) and id_):
        raise ValueError("an element has no kind or id")
    if not (base_hash is None or isinstance(base_hash, str)):
        raise ValueError("an element's base is no hash")
    for body in (base, wanted):
        if not (body is None or isinstance(body, dict)):
            raise ValueError("an element's body is no object")
    return Touched(kind, id_, base_hash, base, wanted)


def wanted_bytes(touched: Iterable[Touched]) -> int:
    """How large the elements would be."""
    return sum(len(orjson.dumps(t.wanted)) for t in touched if t.wanted is not None)


def class_of(touched: Iterable[Touched]) -> Class:
    """The strictest class of what a request would change."""
    found = {rules_of(t.kind).class_of(t.id) for t in touched}
    return next(c for c in (Class.SECURITY, Class.CONFIGURATION) if c in found)


def summary_of(touched: Sequence[Touched]) -> str:
    """What a request would do, in a line."""
    if len(touched) == 1:
        (one,) = touched
        what = f"{one.act.capitalize()} {one.label}"
        fields = [f for f, base, _, wanted in _fields(one, None) if base != wanted]
        return f"{what}: {', '.join(fields)}" if fields and one.wanted is not None and one.base is not None else what
    counts: dict[tuple[str, str], int] = {}
    for t in touched:
        key = t.act.capitalize(), rules_of(t.kind).noun
        counts[key] = counts.get(key, 0) + 1
    return counted((verb, noun, n) for (verb, noun), n in counts.items())


def counted(counts: Iterable[tuple[str, str, int]]) -> str:
    """Verbs, nouns and how many, as a line."""
    return ", ".join(f"{verb} {n:,} {noun}{'s' if n > 1 else ''}" for verb, noun, n in counts)


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a touched element. None where the element isn't there, or its base isn't known."""

    field: str
    base: Any
    now: Any
    wanted: Any


def differences(touched: Touched, now: Now | None) -> list[Difference]:
    """The fields that the request would change, and those that others have changed since it was made."""
    return [Difference(*row) for row in _fields(touched, now)]


def _fields(touched: Touched, now: Now | None) -> Iterator[tuple[str, Any, Any, Any]]:
    # A base that isn't known is what is there now, where that hasn't changed since.
    base = touched.base if touched.base is not None or touched.base_hash is not None or now is None else now.body
    present = now.body if now else None
    wanted = touched.wanted
    if rules_of(touched.kind).hidden:
        return
    for field in dict.fromkeys([*(wanted or ()), *(base or ()), *(present or ())]):
        row = tuple(body.get(field) if body is not None else None for body in (base, present, wanted))
        if row[0] != row[2] or (now is not None and row[1] != row[0]):
            yield field, *row


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Why a request can't be implemented as it is. `code`: changed, gone, there, unknown, refers, name-taken, invalid,
    too-late."""

    element: str
    code: str
    problem: str


Look = Callable[[str, str], Now | None]
"""An element, by kind and id, as it is now."""


def contradictions(
    request: ChangeRequest, touched: Iterable[Touched], look: Look, rules: Callable[[str], KindRules] = rules_of
) -> list[Contradiction]:
    """What has changed since the request was made that its author didn't know of, and what can't be stored. The first
    MAX_CONFLICTS; empty: it may be implemented. Names that others have taken are the registry's to find."""
    found: list[Contradiction] = []
    all_touched = {(t.kind, t.id): t for t in touched}
    for t in all_touched.values():
        if len(found) >= MAX_CONFLICTS:
            break
        now = look(t.kind, t.id)
        changed = _changed(request, t, now)
        if changed is not None:
            found.append(changed)
        if t.wanted is None:
            continue
        try:
            if rules(t.kind).check(t.wanted) != t.wanted:
                raise InvalidInput("It isn't written as it is stored.")
        except HostwardError as error:
            found.append(Contradiction(t.label, "invalid", f"{error.message} {error.remedy}".strip()))
        for kind, id_ in rules(t.kind).refers_to(t.wanted):
            other = all_touched.get((kind, id_))
            there = other.wanted is not None if other else look(kind, id_) is not None
            if not there:
                found.append(Contradiction(t.label, "refers", f"It refers to {kind} {shown(id_)}, which isn't there."))
    return found


def _changed(request: ChangeRequest, t: Touched, now: Now | None) -> Contradiction | None:
    if (now.hash if now else "") in (t.base_hash, t.wanted_hash):
        return None
    if t.wanted is None and t.kind == favourites.KIND:
        return None  # what is a user's own goes with the user, whatever it has become
    if t.base_hash is None and now is not None and now.revision <= request.revision:
        return None
    if t.base_hash is None and now is None:
        return Contradiction(t.label, "unknown", "It isn't there, and whether it was isn't known any more.")
    if now is None:
        return Contradiction(t.label, "gone", "It was deleted since the request was made.")
    if t.base_hash == "":
        return Contradiction(t.label, "there", f"It was made by somebody else since, in revision {now.revision}.")
    return Contradiction(t.label, "changed", f"It was changed by somebody else since, in revision {now.revision}.")


def implements_itself(class_: Class, policy: str) -> bool:
    """Whether a request without contradictions is implemented without being looked at. `policy` is the value of the
    setting change-requests."""
    return class_ is Class.CONFIGURATION and policy == "automatic"
