"""Reading audit.db: pages of entries, and whether its logs are whole. Each call opens the file for itself."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from hostward.domain.audit import BEGUN, PRUNED, Entry, Filter, Kept, Trouble, hash_of
from hostward.domain.errors import HostwardError, InvalidInput
from hostward.registry.schema import explained, open_reader
from hostward.trust.identity import server_id_of, verify

PIECE: Final = 500
_SEAL_PURPOSE: Final = b"hostward audit seal\0"


@dataclass(frozen=True, slots=True)
class Seal:
    """A server's signature of where its log stood at a moment."""

    server: str
    chain: str
    number: int
    hash: str
    at: str
    signature: str
    certificate: str

    def signed(self) -> bytes:
        return _SEAL_PURPOSE + orjson.dumps([self.server, self.chain, self.number, self.hash, self.at])

    def to_bytes(self) -> bytes:
        return orjson.dumps(
            [self.server, self.chain, self.number, self.hash, self.at, self.signature, self.certificate]
        )

    @staticmethod
    def from_bytes(data: bytes) -> Seal:
        """Raises ValueError."""
        try:
            server, chain, number, hash_, at, signature, certificate = orjson.loads(data)
        except (orjson.JSONDecodeError, TypeError) as error:
            raise ValueError("it isn't a seal") from error
        texts = (server, chain, hash_, at, signature, certificate)
        if not isinstance(number, int) or not all(isinstance(t, str) for t in texts):
            raise ValueError("it isn't a seal")
        return Seal(server, chain, number, hash_, at, signature, certificate)

    def check(self, certificates: Sequence[str]) -> None:
        """Return where one of these certificates (PEM) has made it for its own server. Raises ValueError."""
        for certificate in certificates:
            with contextlib.suppress(HostwardError, ValueError):
                if server_id_of(certificate) == self.server:
                    verify(certificate, self.signed(), bytes.fromhex(self.signature))
                    return
        raise ValueError("its signature isn't that server's")


_ENTRIES: Final = (
    "SELECT entry.body, entry.hash, chain.server_name, entry.at, entry.place FROM entry"
    " JOIN chain ON chain.id = entry.chain"
)


def page(path: Path, wanted: Filter, *, before: str, count: int) -> list[Kept]:
    """The newest entries that are wanted, at most so many, older than the one with the cursor `before`. Raises
    RegistryError, InvalidInput."""
    where, values = ["1"], list[object]()
    for column, value in (
        ("chain.server = ?", wanted.server), ("entry.user = ?", wanted.user), ("entry.act = ?", wanted.act),
        ("entry.outcome = ?", wanted.outcome), ("entry.at >= ?", wanted.since), ("entry.at < ?", wanted.until),
    ):  # fmt: skip
        if value:
            where.append(column)
            values.append(value)
    if before:
        at, _, place = before.partition("~")
        if not (place.isascii() and place.isdigit() and len(place) < 19):
            problem = "`before` is no place in the audit log."
            raise InvalidInput(problem, remedy="Give what `next` said of the page before, or leave it out.")
        where.append("(entry.at, entry.place) < (?, ?)")
        values += [at, int(place)]
    query = f"{_ENTRIES} WHERE {' AND '.join(where)} ORDER BY entry.at DESC, entry.place DESC LIMIT ?"
    with explained(path), contextlib.closing(open_reader(path)) as db:
        rows = db.execute(query, [*values, count]).fetchall()
    return [kept for row in rows if (kept := _kept(*row)) is not None]


def _kept(body: bytes, hash_: bytes, name: str, at: str, place: int) -> Kept | None:
    """None for what isn't an entry any more: what is wrong with it is said where the log is verified."""
    with contextlib.suppress(ValueError, TypeError):
        return Kept(Entry.from_bytes(body), name, hash_, f"{at}~{place}")
    return None


def all_entries(path: Path, wanted: Filter) -> Iterator[Kept]:
    """Every entry that is wanted, the newest first, read piece by piece."""
    before = ""
    while found := page(path, wanted, before=before, count=PIECE):
        yield from found
        before = found[-1].cursor


def servers(path: Path) -> dict[str, str]:
    """The names of the servers that there are entries of, by id."""
    with explained(path), contextlib.closing(open_reader(path)) as db:
        return dict(db.execute("SELECT server, server_name FROM chain ORDER BY id"))


def users(path: Path) -> list[str]:
    """Whose acts there are entries of, at most 500."""
    with explained(path), contextlib.closing(open_reader(path)) as db:
        query = "SELECT DISTINCT user FROM entry WHERE user != '' ORDER BY user LIMIT 500"
        return [row[0] for row in db.execute(query)]


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found: how many entries of how many logs, and where they aren't whole."""

    entries: int
    logs: int
    troubles: list[Trouble]


def verify_file(path: Path, own: str, certificates: Sequence[str], known: Sequence[Any]) -> Verified:
    """Look at every entry of every log. `own` is this server's id, `certificates` (PEM) those that it has had lately;
    `known` is what it remembers of its log elsewhere: chain, number, hash. Takes about a second for 100,000 entries:
    call it in a thread. Raises RegistryError where the file can't be read."""
    troubles: list[Trouble] = []
    entries = logs = 0
    with explained(path), contextlib.closing(open_reader(path)) as db:
        own_log = db.execute("SELECT min(id) FROM chain WHERE server = ?", (own,)).fetchone()[0]
        for row in db.execute("SELECT * FROM chain ORDER BY id").fetchall():
            one = _Checking(db, row, own=row[0] == own_log)
            troubles += one.troubles(certificates, known if row[0] == own_log else ())
            entries, logs = entries + one.entries, logs + 1
    return Verified(entries, logs, troubles)


class _Checking:
    """One log, looked through once."""

    def __init__(self, db: sqlite3.Connection, row: Sequence[Any], *, own: bool) -> None:
        self._db, self._own = db, own
        self._id, self._server, self._name, self._chain, self._after, self._after_hash, self._told, self._seal = row
        self.entries = 0
        self._last = int(self._after)
        self._lost = ""

    def troubles(self, certificates: Sequence[str], known: Sequence[Any]) -> Iterator[Trouble]:
        if self._told:
            code, number, text = str(self._told).split(":", 2)
            yield self._trouble(code, int(number), text)
        broken = next(self._broken(known), None)
        if self._lost:
            yield self._trouble("lost", 1, f"The log before this one is missing: {self._lost}.")
        if broken is not None:
            yield broken
            return
        yield from self._check_end(certificates if self._own else (), known)

    def _broken(self, known: Sequence[Any]) -> Iterator[Trouble]:
        """Where the chain breaks; only the first is of use."""
        number, previous = int(self._after), bytes(self._after_hash)
        anchored = number == 0 or not self._own
        query = "SELECT number, at, user, act, outcome, body, hash FROM entry WHERE chain = ? ORDER BY number"
        for found, at, user, act, outcome, body, hash_ in self._db.execute(query, (self._id,)):
            number += 1
            self.entries += 1
            if found != number:
                yield self._trouble("cut", number, f"The entries {number} to {found - 1} are missing.")
            try:
                if not (isinstance(body, bytes) and isinstance(hash_, bytes)):
                    raise ValueError("it isn't kept as it was written")
                entry = Entry.from_bytes(body)
            except ValueError as error:
                yield self._trouble("altered", number, f"Entry {number} was altered: {error}.")
                return
            e = entry.event
            shown = (entry.at, e.user, e.act, e.outcome) == (at, user, act, outcome)
            placed = (entry.server, entry.chain, entry.number) == (self._server, self._chain, number)
            if entry.previous != previous and number == self._after + 1:
                yield self._trouble("cut", number, f"The entries before {number} were taken out.")
            if hash_of(body) != hash_ or entry.previous != previous or not shown or not placed:
                yield self._trouble("altered", number, f"Entry {number}, of {at}, or the one before it was altered.")
            if self._own and e.act == BEGUN:
                self._lost = e.about.get("lost", "")
            if known and list(known[:2]) == [self._chain, number] and known[2] != hash_.hex():
                yield self._trouble("altered", number, f"Entry {number} isn't the one that was there before.")
            anchor = {"up_to": str(self._after), "hash": bytes(self._after_hash).hex()}
            anchored = anchored or (e.act == PRUNED and dict(e.about) == anchor)
            previous = hash_
        self._last = number
        if not anchored:
            first = int(self._after) + 1
            yield self._trouble("cut", first, f"The entries before {first} are missing, and no entry says why.")

    def _check_end(self, certificates: Sequence[str], known: Sequence[Any]) -> Iterator[Trouble]:
        if known and known[0] == self._chain and known[1] > self._last:
            yield self._trouble("cut", self._last + 1, f"The entries {self._last + 1} to {known[1]} are missing.")
            return
        if not self._seal:
            return
        try:
            seal = Seal.from_bytes(self._seal)
            if self._own:
                seal.check(certificates)
        except ValueError as error:
            yield self._trouble("seal", self._last, f"The signature of its end isn't good: {error}.")
            return
        if seal.number > self._last:
            yield self._trouble("cut", self._last + 1, f"The entries {self._last + 1} to {seal.number} are missing.")
            return
        query = "SELECT hash FROM entry WHERE chain = ? AND number = ?"
        row = self._db.execute(query, (self._id, seal.number)).fetchone()
        if row is not None and bytes(row[0]).hex() != seal.hash:
            yield self._trouble("altered", seal.number, f"Entry {seal.number} isn't the one that was signed.")

    def _trouble(self, code: str, number: int, text: str) -> Trouble:
        return Trouble(self._server, self._name, code, number, text)
