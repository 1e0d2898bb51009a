"""The history checker: what a client was promised, against what each server has at the end.

A test's client notes every write that it sends, with the answer. Afterwards the notes are compared with each server's
registry three ways: through its API, with its rows on the disk, and with its change log. Found are changes that were

- lost: acknowledged, but not in the change log, or not in the content although nothing followed them;
- stale: an element is as it was before a change that was acknowledged;
- different: the element isn't what was acknowledged;
- duplicated: one request acted twice, or one name is there twice;
- out of order: a change got a lower revision than one that had been acknowledged before it was sent;
- invented: in the log though its request was refused, or never sent;

and servers that differ from each other. Every body carries a number of its own (in the comment), so that each change of
the log can be told from every other.
"""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
import uuid
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.support.inventory import FIELDS, by_name
from tests.support.registry_file import Entry, Registry, read_registry
from tests.support.server import Server

SHOWN: Final = 20
"""At most so many problems are listed."""

Fields = Mapping[str, Any]


@dataclass(slots=True)
class Write:
    """One request. `names`: what each session that it writes shall be; None: shall be gone. `revision` is None until it
    is acknowledged. `done` without a revision: its answer was lost, but a later look showed that it had acted.
    `refused`: the server answered that it did nothing. Neither of them: nobody knows whether it acted."""

    number: int
    names: dict[str, Fields | None]
    sent: float
    revision: int | None = None
    replicated: dict[str, Any] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    answered: float = 0.0
    done: bool = False
    refused: bool = False

    @property
    def acknowledged(self) -> bool:
        return self.revision is not None


class History:
    """What one test's clients wrote; safe to use from many threads. Each name belongs to one thread, whose writes to it
    come one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._prefix = f"write {uuid.uuid4().hex[:8]} "
        self.writes: list[Write] = []

    def begin(self, names: Mapping[str, Fields | None]) -> Write:
        """A write that is about to be sent."""
        with self._lock:
            write = Write(next(self._numbers), dict(names), time.monotonic())
            self.writes.append(write)
        return write

    def mark(self, write: Write, fields: Fields) -> dict[str, Any]:
        """The fields with the write's own number in the comment; they are noted as what shall be."""
        marked = {**fields, "comment": f"{self._prefix}{write.number}"}
        write.names[marked["name"]] = marked
        return marked

    def acknowledge(self, write: Write, answer: Mapping[str, Any]) -> None:
        """The server said that it is done."""
        write.answered = time.monotonic()
        write.replicated = dict(answer["replicated"])
        session = answer.get("session")
        if session is not None:
            write.ids[session["name"]] = session["id"]
        write.done, write.revision = True, int(answer["revision"])

    def found_done(self, write: Write) -> None:
        """Its answer was lost, but it has acted."""
        write.done = True

    def number_in(self, fields: Fields) -> int | None:
        """Which of this history's writes made a session what it is; None where it was somebody else's."""
        comment = str(fields["comment"])
        return int(comment.removeprefix(self._prefix)) if comment.startswith(self._prefix) else None

    def refuse(self, write: Write) -> None:
        """The server said that it did nothing."""
        write.refused = True

    @property
    def acknowledged(self) -> list[Write]:
        return sorted((w for w in self.writes if w.acknowledged), key=lambda w: w.answered)

    def counts(self) -> dict[str, int]:
        """For reports: how many writes were sent, acknowledged, confirmed by a second server, of unknown outcome."""
        return {
            "sent": len(self.writes),
            "acknowledged": sum(w.acknowledged for w in self.writes),
            "confirmed": sum(w.acknowledged and bool(w.replicated.get("confirmed")) for w in self.writes),
            "unknown": sum(not w.done and not w.refused for w in self.writes),
        }


def assert_kept(history: History, servers: Sequence[Server]) -> None:
    """Fails with what `check_history` finds."""
    problems = [*check_set_aside(history, servers), *check_history(history, servers)]
    more = f"\n… and {len(problems) - SHOWN} more" if len(problems) > SHOWN else ""
    assert not problems, "\n".join(problems[:SHOWN]) + more


def check_set_aside(history: History, servers: Sequence[Server]) -> list[str]:
    """Writes that a promotion has set aside: each is a change request that the Master knows, and none had been
    confirmed by a second server. They count as refused from now on: they must not be in the content, nor in the log."""
    problems = []
    numbers = set(_numbers_set_aside(history, read_registry(servers[0].group_file)))
    for write in history.writes:
        if write.number not in numbers:
            continue
        if write.acknowledged and write.replicated.get("confirmed"):
            problems.append(f"lost: write {write.number} was confirmed ({write.replicated}), and is set aside")
        write.refused, write.done, write.revision = True, False, None
    return problems


def _numbers_set_aside(history: History, registry: Registry) -> Iterable[int]:
    """The writes that are content of change requests, by the format's description alone."""
    for (kind, id_), body in registry.elements.items():
        if kind != "change-request-content" or not registry.elements["change-request", id_]["set_aside"]:
            continue
        for touched_kind, _, _, _, wanted in json.loads(zlib.decompress(base64.b64decode(body["packed"]))):
            if touched_kind == "session" and wanted is not None:
                number = history.number_in(wanted)
                if number is not None:
                    yield number


def check_history(history: History, servers: Sequence[Server]) -> list[str]:
    """Every broken promise, as a sentence; empty if all were kept. The servers run, the first is the Master, and nobody
    writes any more."""
    problems = []
    registries = {server.name: read_registry(server.group_file) for server in servers}
    for server in servers:
        problems += [f"{server.name}: {p}" for p in _check_file(server, registries[server.name])]
    master = registries[servers[0].name]
    problems += _check_log(history, master)
    for server in servers:
        problems += [f"{server.name}: {p}" for p in _check_content(history, server.api.export())]
    for server in servers[1:]:
        problems += [f"{server.name}: {p}" for p in _compare(master, registries[server.name])]
    return problems


def _check_file(server: Server, registry: Registry) -> Iterable[str]:
    """The file agrees with itself, and with what the server says."""
    _, revision, hash_, digest = registry.position
    if registry.digest != digest:
        yield f"the rows have the digest {registry.digest[:12]}, the file says {digest[:12]}"
    for before, after in itertools.pairwise(registry.log):
        if (after.revision, after.previous) != (before.revision + 1, before.hash):
            yield f"revision {after.revision} doesn't follow revision {before.revision}"
    if registry.log and (registry.log[-1].revision, registry.log[-1].hash) != (revision, hash_):
        yield f"the log ends at revision {registry.log[-1].revision}, the file says {revision}"
    status = server.api.status()
    said = (status["epoch"], status["revision"], status["hash"], status["digest"])
    if said != registry.position:
        yield f"the API says {said}, the file {registry.position}"
    rows = {
        body["name"]: {f: body[f] for f in FIELDS} for (kind, _), body in registry.elements.items() if kind == "session"
    }
    if rows != by_name(server.api.export()):
        yield "the export isn't what the file holds"


def _compare(master: Registry, slave: Registry) -> Iterable[str]:
    """A Slave's registry against the Master's. A Slave that loaded a snapshot has only the log after it."""
    if slave.position != master.position:
        yield f"it is at {slave.position}, the Master at {master.position}"
    if slave.elements != master.elements:
        keys = {
            k for k in master.elements.keys() | slave.elements.keys() if master.elements.get(k) != slave.elements.get(k)
        }
        yield f"{len(keys)} elements differ from the Master's, such as {sorted(keys)[:3]}"
    known = {e.revision: e.hash for e in master.log}
    for entry in slave.log:
        if entry.revision in known and known[entry.revision] != entry.hash:
            yield f"revision {entry.revision} is another change than the Master's"


def _check_log(history: History, master: Registry) -> Iterable[str]:
    """The Master's change log against what its clients were told."""
    log = {entry.revision: entry for entry in master.log}
    oldest = master.log[0].revision if master.log else 0
    found: defaultdict[int, list[int]] = defaultdict(list)
    for entry in master.log:
        for number in _numbers_in(history, entry):
            found[number].append(entry.revision)
    writes = {w.number: w for w in history.writes}
    for number, revisions in found.items():
        write = writes.get(number)
        if len(revisions) > 1:
            yield f"duplicated: write {number} is in revisions {revisions}"
        if write is None:
            yield f"invented: revision {revisions[0]} has write {number}, which nobody sent"
        elif write.refused:
            yield f"invented: write {number} was refused, yet is in revision {revisions[0]}"
    for write in history.acknowledged:
        assert write.revision is not None
        if write.revision < oldest:
            continue  # the log no longer holds it; the content does
        acknowledged = log.get(write.revision)
        if acknowledged is None:
            yield f"lost: write {write.number}, acknowledged as revision {write.revision} ({write.replicated})"
        elif not _is_in(write, acknowledged):
            yield f"different: revision {write.revision} isn't what write {write.number} was acknowledged for"
    for write in history.writes:
        marked = any(fields is not None for fields in write.names.values())
        if write.done and marked and not found[write.number] and (write.revision or oldest) >= oldest:
            yield f"lost: write {write.number}, which had acted, is in no revision"
    yield from _check_order(history)


def _check_order(history: History) -> Iterable[str]:
    """What was sent after an acknowledgement has a higher revision than what was acknowledged."""
    by_answer = history.acknowledged
    by_sending = sorted(by_answer, key=lambda w: w.sent)
    newest, at = 0, 0
    for write in by_sending:
        while at < len(by_answer) and by_answer[at].answered < write.sent:
            newest = max(newest, by_answer[at].revision or 0)
            at += 1
        assert write.revision is not None
        if write.revision <= newest:
            yield f"out of order: write {write.number} got revision {write.revision}, after {newest} was acknowledged"
    shared = Counter(w.revision for w in by_answer)
    for revision, times in shared.items():
        if times > 1:
            yield f"out of order: revision {revision} was acknowledged to {times} writes"


def _check_content(history: History, exported: list[dict[str, Any]]) -> Iterable[str]:
    """A server's content against what its owner last knows of each name."""
    now = by_name(exported)
    wanted: dict[str, list[Fields | None]] = {}
    for write in history.writes:
        for name, fields in write.names.items():
            if write.done:
                wanted[name] = [fields]
            elif not write.refused:
                wanted.setdefault(name, [None]).append(fields)
    for name, possible in wanted.items():
        have = now.pop(name, None)
        if not any(_same(have, fields) for fields in possible):
            yield f"lost or stale: {name} is {_short(have)}, acknowledged was {[_short(p) for p in possible]}"
    mine = [name for name, fields in now.items() if history.number_in(fields) is not None]
    if mine:
        yield f"invented: nobody wrote {sorted(mine)[:3]}"


def _numbers_in(history: History, entry: Entry) -> set[int]:
    bodies = (body for kind, _, body in entry.operations if kind == "session" and body is not None)
    return {number for body in bodies if (number := history.number_in(body)) is not None}


def _is_in(write: Write, entry: Entry) -> bool:
    """Whether the change is what the write asked for: these sessions, and no others."""
    put = {body["name"]: body for kind, _, body in entry.operations if kind == "session" and body is not None}
    gone = {id_ for kind, id_, body in entry.operations if kind == "session" and body is None}
    wanted = {name: fields for name, fields in write.names.items() if fields is not None}
    deleted = {write.ids[name] for name, fields in write.names.items() if fields is None}
    return gone == deleted and put.keys() == wanted.keys() and all(_same(put[n], f) for n, f in wanted.items())


def _same(have: Fields | None, wanted: Fields | None) -> bool:
    if have is None or wanted is None:
        return have is None and wanted is None
    return all(have[name] == wanted[name] for name in FIELDS)


def _short(fields: Fields | None) -> str:
    return str(fields["comment"]) if fields is not None else "absent"
