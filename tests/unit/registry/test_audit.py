"""The audit log's file: a chain that can't be altered unseen, and copies of others' that only grow."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hostward.domain.audit import PRUNED, REFUSED, Entry, Event, Filter, hash_of
from hostward.domain.errors import PeerError
from hostward.registry import schema
from hostward.registry.audit import SHRINK_PAGES, AuditLog, Head, Piece
from hostward.registry.audit_reading import Verified, all_entries, page, verify_file

OWN = "own"
TEXT = st.text(max_size=40)


@pytest.fixture
def moments() -> Callable[[], str]:
    """A clock that goes on by a second each time."""
    seconds = count()
    return lambda: f"2026-01-01T{(n := next(seconds)) // 3600:02}:{n // 60 % 60:02}:{n % 60:02}.000Z"


@pytest.fixture
def log(tmp_path: Path, moments: Callable[[], str]) -> Iterator[AuditLog]:
    found = AuditLog(tmp_path / "audit.db", OWN, "north", moments, lambda: "chain")
    yield found
    found.close()


def fill(log: AuditLog, number: int, act: str = "logged-in") -> None:
    for n in range(number):
        log.add(Event(act, f"user{n}", "192.0.2.1"))


def whole(log: AuditLog) -> Verified:
    return verify_file(log.path, OWN, [], ())


def codes(log: AuditLog) -> list[str]:
    return [t.code for t in whole(log).troubles]


def numbers(log: AuditLog, **wanted: str) -> list[int]:
    return [k.entry.number for k in all_entries(log.path, Filter(**wanted))]


@given(
    st.lists(
        st.builds(
            Event, act=TEXT, user=TEXT, address=TEXT, outcome=st.just(REFUSED), reason=TEXT,
            revision=st.none() | st.integers(0, 1 << 50), about=st.dictionaries(TEXT, TEXT, max_size=3),
        ),
        max_size=8,
    )
)  # fmt: skip
def test_an_entry_is_read_as_it_was_written(events: list[Event]) -> None:
    previous = bytes(32)
    for number, event in enumerate(events, 1):
        entry = Entry("s", "c", number, previous, "2026-01-01T00:00:00.000Z", event)
        body = entry.to_bytes()
        assert Entry.from_bytes(body) == entry
        previous = hash_of(body)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=60) | st.just(b"[]") | st.just(b'{"server":1}'))
def test_what_is_no_entry_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        Entry.from_bytes(body)


def test_entries_are_chained_and_listed_newest_first(log: AuditLog) -> None:
    fill(log, 5)
    assert whole(log) == Verified(5, 1, [])
    assert numbers(log) == [5, 4, 3, 2, 1]
    first = page(log.path, Filter(), before="", count=2)
    assert [k.entry.number for k in page(log.path, Filter(), before=first[-1].cursor, count=9)] == [3, 2, 1]
    assert numbers(log, user="user2") == [3]
    assert numbers(log, since="2026-01-01T00:00:01.000Z", until="2026-01-01T00:00:03.000Z") == [3, 2]
    assert numbers(log, server="another") == []


TAMPERING = {
    "a column": "UPDATE entry SET user = 'nobody' WHERE number = 3",
    "an act": "UPDATE entry SET body = replace(CAST(body AS TEXT), 'user2', 'user9'), user = 'user9' WHERE number = 3",
    "rubbish": "UPDATE entry SET body = x'00' WHERE number = 3",
    "an entry taken out": "DELETE FROM entry WHERE number = 3",
    "the beginning taken out": "DELETE FROM entry WHERE number <= 3",
    "the beginning said to be pruned": "UPDATE chain SET after = 3, after_hash = (SELECT hash FROM entry WHERE"
    " number = 3); DELETE FROM entry WHERE number <= 3",
    "two exchanged": "UPDATE entry SET number = 100 WHERE number = 3; UPDATE entry SET number = 3 WHERE number = 4;"
    " UPDATE entry SET number = 4 WHERE number = 100",
}


@pytest.mark.parametrize("how", TAMPERING)
def test_an_altered_file_is_noticed_with_the_entry(log: AuditLog, how: str) -> None:
    fill(log, 6)
    with sqlite3.connect(log.path) as db:
        db.executescript(TAMPERING[how])
    (trouble,) = whole(log).troubles
    assert trouble.code in ("altered", "cut")
    assert trouble.number in (1, 3, 4)


def test_an_entry_made_anew_with_a_right_hash_breaks_the_next(log: AuditLog) -> None:
    fill(log, 6)
    with sqlite3.connect(log.path) as db:
        body = bytes(db.execute("SELECT body FROM entry WHERE number = 3").fetchone()[0]).replace(b"user2", b"user9")
        new = (body, hash_of(body))
        db.execute("UPDATE entry SET body = ?, hash = ?, user = 'user9' WHERE number = 3", new)
    (trouble,) = whole(log).troubles
    assert (trouble.code, trouble.number) == ("altered", 4)


@pytest.mark.feature("A15")
def test_what_is_remembered_elsewhere_shows_a_cut_end_and_another_log(log: AuditLog) -> None:
    fill(log, 6)
    at = log.head
    known = [at.chain, at.number, at.hash.hex()]
    assert verify_file(log.path, OWN, [], known).troubles == []
    with sqlite3.connect(log.path) as db:
        db.execute("DELETE FROM entry WHERE number > 4")
    (trouble,) = verify_file(log.path, OWN, [], known).troubles
    assert (trouble.code, trouble.number) == ("cut", 5)
    (trouble,) = verify_file(log.path, OWN, [], [at.chain, 2, "00" * 32]).troubles
    assert (trouble.code, trouble.number) == ("altered", 2)


def test_a_log_that_was_cut_while_the_server_was_down_stays_known_as_such(
    log: AuditLog, tmp_path: Path, moments: Callable[[], str]
) -> None:
    def opened(known: Head, name: str) -> AuditLog:
        path = tmp_path / f"{name}.db"
        with sqlite3.connect(path) as db, sqlite3.connect(log.path) as whole_db:
            whole_db.backup(db)
        with sqlite3.connect(path) as db:
            db.execute("DELETE FROM entry WHERE number > 4")
        again = AuditLog(path, OWN, "north", moments, lambda: "another")
        again.check_end(known)
        fill(again, 5)  # more than were there before
        return again

    fill(log, 4)
    fourth = log.head
    fill(log, 2)
    before = log.head
    for name, known, wanted in (
        ("cut", before, ["cut"]), ("another", Head("else", 2, before.hash), ["altered"]),
        ("exchanged", Head("chain", 3, before.hash), ["altered"]), ("whole", fourth, []),
    ):  # fmt: skip
        again = opened(known, name)
        assert codes(again) == wanted, name
        again.prune(before="2026-01-02T00:00:00.000Z", max_bytes=1 << 30)
        assert codes(again) == [], "it is gone with the entries around it"
        again.close()


def test_pruning_leaves_a_chain_that_can_be_verified(log: AuditLog) -> None:
    fill(log, 10)
    assert log.prune(before="2026-01-01T00:00:04.000Z", max_bytes=1 << 30) == 4
    assert numbers(log) == [11, 10, 9, 8, 7, 6, 5]
    (anchor,) = all_entries(log.path, Filter(act=PRUNED))
    assert anchor.entry.event.about["up_to"] == "4"
    assert codes(log) == []
    assert log.prune(before="2026-01-01T00:00:04.000Z", max_bytes=1 << 30) == 0
    log.prune(before="", max_bytes=1500)
    assert codes(log) == []
    assert len(numbers(log)) < 7
    assert log.prune(before="9999", max_bytes=0) > 0
    assert len(numbers(log)) == 2, "the last one stays, and the entry that says what was removed"
    assert codes(log) == []


def large(log: AuditLog) -> int:
    """Fill it; the file's size then, with what is in its own log yet."""
    for _ in range(40):
        log.add(*(Event("logged-in", f"user{n}", about={str(k): "x" * 290 for k in range(10)}) for n in range(100)))
    return log.path.stat().st_size + log.path.with_name("audit.db-wal").stat().st_size


def test_the_file_gives_back_what_was_removed_in_pieces(log: AuditLog) -> None:
    assert not log.shrink(), "there is nothing to give back"
    was = large(log)
    assert log.prune(before="", max_bytes=100_000) > 3900
    sizes = []
    while log.shrink():
        with sqlite3.connect(log.path) as db:
            sizes.append(db.execute("PRAGMA page_count").fetchone()[0])
        log.add(Event("logged-in"))  # nobody waits until it is done
    assert len(sizes) >= 5, sizes
    own_pages = 2  # that say where each page is referred to
    assert all(0 <= a - b <= SHRINK_PAGES + own_pages for a, b in pairwise(sizes)), sizes
    assert log.path.stat().st_size < was / 5
    assert codes(log) == []
    assert not log.shrink()


def test_a_file_of_an_earlier_build_comes_to_shrink_too(
    tmp_path: Path, moments: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def opened() -> AuditLog:
        return AuditLog(path, OWN, "north", moments, lambda: "chain")

    path = tmp_path / "audit.db"
    first = opened()
    large(first)
    first.close()
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript("PRAGMA journal_mode=DELETE; PRAGMA auto_vacuum=NONE; VACUUM;")
    monkeypatch.setattr(schema, "MAX_WRITTEN_ANEW_BYTES", 1 << 20)
    again = opened()
    again.prune(before="", max_bytes=100_000)
    assert not again.shrink(), "it is too large to be written anew while a server starts"
    again.close()
    was = path.stat().st_size
    third = opened()
    assert path.stat().st_size + path.with_name("audit.db-wal").stat().st_size < was / 5
    large(third)
    third.prune(before="", max_bytes=100_000)
    assert third.shrink()
    assert codes(third) == []
    third.close()


def test_many_writers_at_once_make_one_chain(log: AuditLog) -> None:
    threads = [threading.Thread(target=fill, args=(log, 20, f"act{n}")) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(log) == Verified(160, 1, [])
    for n in range(8):
        mine = [k.entry.event.user for k in all_entries(log.path, Filter(act=f"act{n}"))]
        assert mine == [f"user{m}" for m in reversed(range(20))]


WRITER = """
import sys
from itertools import count, pairwise
from pathlib import Path
from hostward.domain.audit import Event
from hostward.registry.audit import AuditLog
log = AuditLog(Path(sys.argv[1]), "own", "north", lambda: "2026-01-01T00:00:00.000Z", lambda: "chain")
for n in count(1):
    log.add(Event("logged-in", str(n)))
    print(log.head.number, flush=True)
    if n % 50 == 0:
        log.prune(before="", max_bytes=20_000)
"""


def test_a_killed_writer_loses_nothing_that_it_had_confirmed(tmp_path: Path) -> None:
    path = tmp_path / "audit.db"
    for round_ in range(4):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        confirmed = 0
        for _ in range(40 + 37 * round_):
            confirmed = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        writer.stdout.close()
        confirmed = max([confirmed, *(int(n) for n in rest[:-1])])
        log = AuditLog(path, OWN, "north", lambda: "2026-01-01T00:00:00.000Z", lambda: "chain")
        assert log.head.number >= confirmed
        assert codes(log) == []
        log.close()


# Copies of other servers' logs


@pytest.fixture
def slave(tmp_path: Path, moments: Callable[[], str]) -> Iterator[AuditLog]:
    found = AuditLog(tmp_path / "slave.db", "slave", "south", moments, lambda: "south's chain")
    yield found
    found.close()


def pull(master: AuditLog, slave: AuditLog, *, max_count: int = 500) -> int:
    piece = slave.piece(master.points("slave"), max_count=max_count, max_bytes=1 << 20)
    return master.take("slave", "south", piece)


def test_a_copy_goes_on_where_it_stopped(log: AuditLog, slave: AuditLog) -> None:
    fill(slave, 7)
    fill(log, 2)
    assert [pull(log, slave, max_count=3) for _ in range(4)] == [3, 3, 1, 0]
    fill(slave, 2)
    assert pull(log, slave) == 2
    assert numbers(log, server="slave") == list(range(9, 0, -1))
    assert whole(log) == Verified(11, 2, [])
    assert {k.server_name for k in all_entries(log.path, Filter())} == {"north", "south"}


def test_what_was_pruned_before_it_was_copied_is_a_gap_that_is_shown(log: AuditLog, slave: AuditLog) -> None:
    fill(slave, 3)
    pull(log, slave)
    fill(slave, 6)
    slave.prune(before="2026-01-01T00:00:07.000Z", max_bytes=1 << 30)
    assert pull(log, slave) > 0
    assert codes(log) == ["gap"]
    assert numbers(log, server="slave")[-3:] == [3, 2, 1], "what had been sent stays"


def test_a_server_that_goes_back_can_take_nothing_back(
    log: AuditLog, tmp_path: Path, moments: Callable[[], str]
) -> None:
    chain = lambda: "south's chain"  # noqa: E731
    first = AuditLog(tmp_path / "first.db", "slave", "south", moments, chain)
    fill(first, 8)
    pull(log, first)
    first.close()
    second = AuditLog(tmp_path / "second.db", "slave", "south", moments, chain)
    fill(second, 3, "another")
    piece = second.piece(log.points("slave"), max_count=9, max_bytes=1 << 20)
    assert piece.after == 0
    log.ends_earlier("slave", 0)
    assert codes(log) == ["cut"]
    assert log.take("slave", "south", piece) == 3
    assert codes(log) == ["cut", "fork"]
    assert len(numbers(log, server="slave")) == 11
    fill(second, 1)
    assert pull(log, second) == 1
    second.close()


def test_a_hostile_server_adds_to_its_own_chain_alone(log: AuditLog, slave: AuditLog) -> None:
    fill(log, 2)
    fill(slave, 4)
    good = slave.piece(None, max_count=9, max_bytes=1 << 20)
    others = log.piece(None, max_count=9, max_bytes=1 << 20)
    bad = [
        Piece(others.chain, 0, bytes(32), 0, others.bodies),  # another server's entries
        Piece(good.chain, 0, bytes(32), 0, good.bodies[1:]),  # one left out
        Piece(good.chain, 0, bytes(32), 0, [good.bodies[0], good.bodies[0]]),
        Piece(good.chain, 0, bytes(32), 0, [good.bodies[0].replace(b"user0", b"user9"), good.bodies[1]]),
        Piece(good.chain, 0, b"x" * 32, 0, good.bodies),
        Piece(good.chain, 0, bytes(32), 0, [b"{}"]),
    ]
    for piece in bad:
        with pytest.raises(PeerError):
            log.take("slave", "south", piece)
    assert numbers(log, server="slave") == []
    assert whole(log) == Verified(2, 1, [])


def test_a_server_that_begins_anew_again_and_again_is_kept_only_so_often(log: AuditLog, slave: AuditLog) -> None:
    fill(slave, 1)
    (body,) = slave.piece(None, max_count=9, max_bytes=1 << 20).bodies
    for n in range(16):
        piece = Piece(f"chain{n}", 0, bytes(32), 0, [body.replace(b"south's chain", f"chain{n}".encode())])
        assert log.take("slave", "south", piece) == 1
    with pytest.raises(PeerError, match="too often"):
        log.take("slave", "south", Piece("one more", 0, bytes(32), 0, [body.replace(b"south's chain", b"one more")]))
    assert len(numbers(log, server="slave")) == 16
