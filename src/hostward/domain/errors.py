"""The one tree of errors. Each message says what happened; `remedy` says what to do next.

HostwardError
├── InvalidInput        the caller's data can't be used        (422)
├── NotFound            no such thing                          (404)
├── Conflict            it would contradict what is there      (409)
│   ├── ConfirmationRequired   `confirm: true` is missing      (409)
│   ├── SessionLocked          an administrator is editing the session (409)
│   └── RequestConflicts       a change request is out of date (409)
├── PreconditionFailed  it was changed by somebody else        (412)
├── Unauthenticated     no valid login                         (401)
├── Forbidden           the login may not do this              (403)
├── Unavailable         not now: it can be tried again         (503)
├── PeerError           another server refused, or is silent   (502)
├── TrustError          a certificate, envelope or passphrase is not good
├── DatabaseError       the replication database
└── RegistryError       the embedded registry's files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong with the caller's data. `field` is a column or field name. `row` is the row's number as a
    spreadsheet shows it: the header is row 1, the first row of data row 2, and line breaks inside a cell don't count;
    in JSON it is the object's number, from 1. None where there are no rows."""

    field: str
    problem: str
    remedy: str
    row: int | None = None


class HostwardError(Exception):
    """Anything that Hostward itself reports. `code` is stable, for programs."""

    code = "error"

    def __init__(self, message: str, *, remedy: str = "", code: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class InvalidInput(HostwardError):
    """The data given can't be used; nothing was changed. `mistakes` has one entry for each thing to mend."""

    code = "invalid-input"

    def __init__(
        self, message: str, *, remedy: str = "", code: str | None = None, mistakes: Sequence[Mistake] = ()
    ) -> None:
        super().__init__(message, remedy=remedy, code=code)
        self.mistakes = tuple(mistakes)


class NotFound(HostwardError):
    """There is no such thing, or it isn't the caller's to see."""

    code = "not-found"


class Conflict(HostwardError):
    """The request contradicts what is there; nothing was changed."""

    code = "conflict"


class ConfirmationRequired(Conflict):
    """The "Settings update" confirmation is missing. `consequences` lists what Yes would do. `plan`, where there is
    one, names exactly that: sent with the confirmation, it makes sure that nothing else is done."""

    code = "confirmation-required"

    def __init__(self, message: str, *, remedy: str = "", consequences: Sequence[str] = (), plan: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.consequences, self.plan = tuple(consequences), plan


class SessionLocked(Conflict):
    """Sessions are locked by those who edit them; nothing was changed. `holders` says of each who does. `tag` names
    exactly these locks."""

    code = "session-locked"

    def __init__(self, message: str, *, remedy: str = "", holders: Sequence[str] = (), tag: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.holders, self.tag = tuple(holders), tag


class RequestConflicts(Conflict):
    """A change request can't be implemented: `conflicts` says of each element why."""

    code = "request-conflicts"

    def __init__(self, message: str, *, remedy: str = "", conflicts: Sequence[str] = ()) -> None:
        super().__init__(message, remedy=remedy)
        self.conflicts = tuple(conflicts)


class PreconditionFailed(HostwardError):
    """The element was changed since the caller read it (its ETag differs). `current` is the ETag now."""

    code = "precondition-failed"

    def __init__(self, message: str, *, remedy: str = "", current: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.current = current


class Unauthenticated(HostwardError):
    """No valid login or token came with the request."""

    code = "unauthenticated"


class Forbidden(HostwardError):
    """The login is valid but may not do this."""

    code = "forbidden"


class Unavailable(HostwardError):
    """Not possible at this moment; the same request can be tried again."""

    code = "unavailable"


class PeerError(HostwardError):
    """Another server refused or didn't answer. `code` names which check failed: name, port, protocol, context,
    certificate, passphrase, clock, version, group, role, database-port, timeout, removed, busy, replay."""

    code = "peer"


class TrustError(HostwardError):
    """A certificate, key, envelope or passphrase isn't good. Same codes as PeerError where they overlap."""

    code = "trust"


class DatabaseError(HostwardError):
    """The replication database: not installed, not started, or not answering."""

    code = "database"


class RegistryError(HostwardError):
    """The embedded registry's files: locked, damaged, unwritable or full."""

    code = "registry"


def fields_of(error: HostwardError) -> Mapping[str, object]:
    """What an answer may show of an error, beside its message: code and remedy and the class's own lists."""
    shown: dict[str, object] = {"code": error.code, "remedy": error.remedy}
    if isinstance(error, InvalidInput) and error.mistakes:
        shown["mistakes"] = [
            {"row": m.row, "field": m.field, "problem": m.problem, "remedy": m.remedy} for m in error.mistakes
        ]
    if isinstance(error, ConfirmationRequired):
        shown["consequences"] = list(error.consequences)
        if error.plan:
            shown["plan"] = error.plan
    if isinstance(error, SessionLocked):
        shown["holders"] = list(error.holders)
    if isinstance(error, RequestConflicts):
        shown["conflicts"] = list(error.conflicts)
    if isinstance(error, PreconditionFailed):
        shown["current"] = error.current
    return shown
