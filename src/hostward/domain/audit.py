"""The audit log's entries: who did what, from where, when, and what came of it.

Each entry holds the SHA-256 of the one before it, so that no entry can be altered, taken out or put in without breaking
the chain. What isn't said here is said in no entry: never a secret, never what an element holds.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from hostward.domain.inventory.formulas import guard

DONE, REFUSED, SUBMITTED = "done", "refused", "submitted"
OUTCOMES: Final = (DONE, SUBMITTED, REFUSED)
GENESIS: Final = bytes(32)
"""What the first entry holds as the hash of the one before it."""

MAX_BODY_BYTES: Final = 32 << 10
MAX_TEXT: Final = 300
MAX_FACTS: Final = 12
_PURPOSE: Final = b"hostward audit entry\0"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").fullmatch

ACTS: Final[Mapping[str, str]] = {
    "logged-in": "Logged in",
    "logged-out": "Logged out",
    "logged-out-everywhere": "Logged out everywhere",
    "password-changed": "Changed the password",
    "token-made": "Made a token",
    "token-deleted": "Deleted a token",
    "session-created": "Created a session",
    "session-replaced": "Replaced a session",
    "session-edited": "Edited a session",
    "session-copied": "Copied a session",
    "session-deleted": "Deleted a session",
    "session-restored": "Restored a session",
    "sessions-edited": "Edited sessions",
    "sessions-deleted": "Deleted sessions",
    "lock-taken-over": "Took over a session's lock",
    "sessions-imported": "Imported sessions",
    "change-undone": "Undid a change",
    "configuration-restored": "Restored sessions and settings",
    "settings-changed": "Changed settings",
    "not-allowed": "Tried what the role doesn't allow",
    "user-created": "Created a user",
    "user-edited": "Edited a user",
    "user-deleted": "Deleted a user",
    "user-password-set": "Set a user's password",
    "user-logged-out": "Logged a user out everywhere",
    "user-unlocked": "Unlocked a user",
    "user-group-created": "Created a user group",
    "user-group-edited": "Edited a user group",
    "user-group-deleted": "Deleted a user group",
    "user-group-members-changed": "Changed a user group's members",
    "users-imported": "Imported users",
    "users-edited": "Edited users",
    "users-deleted": "Deleted users",
    "user-taken-over": "Took a user over from a directory",
    "user-moved": "Followed a user's move in a directory",
    "directory-changed": "Set up a directory",
    "directory-deleted": "Deleted a directory",
    "directory-tested": "Tried a login by a directory",
    "credential-set": "Set an entry of the Credential Store",
    "credential-deleted": "Deleted an entry of the Credential Store",
    "credential-store-opened": "Opened the Credential Store with its passphrase",
    "credential-store-passphrase": "Set the Credential Store's passphrase, or removed it",
    "credential-store-emptied": "Emptied the Credential Store",
    "access-assigned": "Assigned access",
    "access-removed": "Removed assignments",
    "package-uploaded": "Uploaded a package",
    "package-edited": "Edited a package",
    "package-deleted": "Deleted a package",
    "package-downloaded": "Downloaded a package",
    "session-launched": "Opened a session",
    "replication-applied": "Applied replication settings",
    "server-removed": "Removed a server",
    "switched-over": "Switched over",
    "promoted": "Promoted a Slave",
    "followed": "Followed another Master",
    "passphrase-changed": "Changed the passphrase",
    "database-rebuilt": "Made the database node anew",
    "joined": "Joined a group",
    "join-code-made": "Made a join code",
    "join-code-revoked": "Revoked a join code",
    "certificate-trusted": "Trusted a certificate",
    "certificate-deleted": "Deleted a certificate",
    "certificate-renewed": "Renewed the certificate",
    "certificate-requested": "Requested a certificate",
    "certificate-installed": "Installed a certificate",
    "browser-certificate-installed": "Installed a certificate for browsers",
    "browser-certificate-removed": "Removed the certificate for browsers",
    "backup-made": "Made a backup",
    "backup-restored": "Restored a backup",
    "change-request-implemented": "Implemented a change request",
    "change-request-rejected": "Rejected a change request",
    "change-request-withdrawn": "Withdrew a change request",
    "change-request-edited": "Edited a change request",
    "server-started": "Started the server",
    "audit-begun": "Began the audit log",
    "audit-pruned": "Removed old audit entries",
    "audit-not-written": "Audit entries were lost",
}
"""Every act that is recorded, with its words for people. One that has none here fails a test, and is recorded all the
same, under its own name."""

COUNTED: Final = frozenset({"session-launched", "package-downloaded"})
"""What one may do all day: equal ones within a minute are counted together."""
BEGUN, PRUNED, NOT_WRITTEN = "audit-begun", "audit-pruned", "audit-not-written"


def text_of(act: str) -> str:
    """An act's words; its own name where it has none here, as another server's version may know more acts."""
    return ACTS.get(act, act)


@dataclass(frozen=True, slots=True)
class Event:
    """What happened, before it has its place in a log. `reason` says why it was refused; `about` names what it was done
    to; `times` is greater than 1 where equal ones are counted together, which began at `since`."""

    act: str
    user: str = ""
    address: str = ""
    outcome: str = DONE
    reason: str = ""
    revision: int | None = None
    request: str = ""
    about: Mapping[str, str] = field(default_factory=dict)
    times: int = 1
    since: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event in the log of the server with that id; `chain` is the log's own id, `previous` the hash of the entry
    before it. `at` is ISO 8601 UTC with milliseconds."""

    server: str
    chain: str
    number: int
    previous: bytes
    at: str
    event: Event

    def to_bytes(self) -> bytes:
        """What is kept, and hashed."""
        e = self.event
        return orjson.dumps(
            {
                "server": self.server, "chain": self.chain, "number": self.number, "previous": self.previous.hex(),
                "at": self.at, "act": e.act, "user": clipped(e.user), "address": clipped(e.address),
                "outcome": e.outcome, "reason": clipped(e.reason), "revision": e.revision,
                "request": clipped(e.request), "times": e.times, "since": e.since,
                "about": {clipped(k): clipped(v) for k, v in list(e.about.items())[:MAX_FACTS]},
            }
        )  # fmt: skip

    @staticmethod
    def from_bytes(body: bytes) -> Entry:
        """Raises ValueError for what is no entry."""
        if len(body) > MAX_BODY_BYTES:
            raise ValueError("the entry is too large")
        try:
            found = orjson.loads(body)
            about = found["about"]
            event = Event(
                act=_text(found["act"]), user=_text(found["user"]), address=_text(found["address"]),
                outcome=_text(found["outcome"]), reason=_text(found["reason"]),
                revision=None if found["revision"] is None else _number(found["revision"]),
                request=_text(found["request"]), times=_number(found["times"]), since=_text(found["since"]),
                about={_text(k): _text(v) for k, v in about.items()},
            )  # fmt: skip
            if not _MOMENT(_text(found["at"])) or len(about) > MAX_FACTS or event.outcome not in OUTCOMES:
                raise ValueError("it isn't one that a server writes")
            previous = bytes.fromhex(found["previous"])
            if len(previous) != len(GENESIS):
                raise ValueError("its link to the entry before it isn't a SHA-256")
            return Entry(
                _text(found["server"]), _text(found["chain"]), _number(found["number"]), previous, found["at"], event
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"it can't be read: {type(error).__name__}") from error


def hash_of(body: bytes) -> bytes:
    """What the next entry holds of this one."""
    return hashlib.sha256(_PURPOSE + body).digest()


def clipped(text: str) -> str:
    """At most MAX_TEXT characters, and none that isn't text."""
    whole = text.encode("utf-8", "replace").decode()
    return whole if len(whole) <= MAX_TEXT else whole[: MAX_TEXT - 1] + "…"


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError("a text is none, or too long")
    return value


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 53:
        raise ValueError("a number is none")
    return value


@dataclass(frozen=True, slots=True)
class Kept:
    """An entry as it is kept here: whose log it belongs to, and its hash. `cursor` leads on from it in a list."""

    entry: Entry
    server_name: str
    hash: bytes
    cursor: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Which entries are wanted; what is empty admits all. `since` and `until` are moments as entries have them."""

    server: str = ""
    user: str = ""
    act: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Where a log isn't whole. `code`: altered, cut, fork, gap, seal, lost. `number` is the entry where it begins."""

    server: str
    server_name: str
    code: str
    number: int
    text: str


COLUMNS: Final = (
    "at", "server", "server_name", "number", "user", "address", "act", "outcome", "reason", "revision", "request",
    "about", "times", "since",
)  # fmt: skip


def flat(kept: Kept) -> dict[str, Any]:
    """An entry as the API and the exports show it."""
    entry, e = kept.entry, kept.entry.event
    return {
        "at": entry.at, "server": entry.server, "server_name": kept.server_name, "number": entry.number,
        "user": e.user, "address": e.address, "act": e.act, "outcome": e.outcome, "reason": e.reason,
        "revision": e.revision, "request": e.request, "about": dict(e.about), "times": e.times, "since": e.since,
        "hash": kept.hash.hex(), "previous": entry.previous.hex(),
    }  # fmt: skip


def cells(kept: Kept) -> Sequence[str]:
    """An entry as a row of a spreadsheet, in the order of COLUMNS: nothing in it is taken for a formula."""
    shown = flat(kept)
    shown["about"] = "; ".join(f"{k}={v}" for k, v in shown["about"].items())
    return [guard("" if shown[c] is None else str(shown[c])) for c in COLUMNS]
