"""Who used what last: in step with the log, outliving its entries, made anew where it is missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.unit.registry.test_audit import log, moments

from hostward.domain.audit import REFUSED, Event
from hostward.registry import uses
from hostward.registry.audit import AuditLog
from hostward.registry.uses import Use

__all__ = ["log", "moments"]

pytestmark = pytest.mark.feature("R24")


def launch(log: AuditLog, user: str, session: str, outcome: str = "done") -> None:
    about = {"session": session, "name": f"Session {session}"}
    log.add(Event("session-launched", user, "192.0.2.1", outcome, about=about))


@pytest.fixture
def other(tmp_path: Path) -> Iterator[AuditLog]:
    seconds = count()
    found = AuditLog(
        tmp_path / "other.db", "other", "south", lambda: f"2026-02-01T00:00:{next(seconds):02}.000Z", lambda: "theirs"
    )
    yield found
    found.close()


def rows(log: AuditLog) -> list[tuple[object, ...]]:
    with sqlite3.connect(log.path) as db:
        found = db.execute("SELECT * FROM last_use ORDER BY act, thing, user").fetchall()
    db.close()
    return found


def test_the_last_use_of_a_session_is_of_all_servers_and_no_refusal_counts(log: AuditLog, other: AuditLog) -> None:
    launch(log, "anna", "s1")
    launch(log, "anna", "s1")
    launch(log, "eve", "s1", REFUSED)
    launch(log, "bob", "s2")
    launch(other, "bob", "s1")
    log.take("other", "south", other.piece(None, max_count=100, max_bytes=1 << 20))
    found = uses.uses_of(log.path, ["s1", "s2", "s3"])
    assert found["s1"] == Use("2026-02-01T00:00:00.000Z", "bob", 3, 2)
    assert (found["s2"].by, found["s2"].times) == ("bob", 1)
    assert "s3" not in found
    assert [r.server for r in uses.reach(log.path)] == ["north", "south"]


def test_the_last_use_outlives_the_entry_and_the_table_is_the_same_made_anew(
    log: AuditLog, tmp_path: Path, moments: Callable[[], str]
) -> None:
    for n in range(20):
        launch(log, f"user{n % 3}", f"s{n % 5}")
        log.add(Event("logged-in", f"user{n % 3}"))
    before = rows(log)
    assert len(before) == 15 + 3
    with sqlite3.connect(log.path) as db:
        db.execute("DROP TABLE last_use_since")
        db.execute("UPDATE last_use SET times = 99")
    db.close()
    again = AuditLog(log.path, log.server, "north", moments, lambda: "chain")
    assert rows(again) == before
    again.prune(before="2027-01-01T00:00:00.000Z", max_bytes=1 << 30)
    again.close()
    assert rows(log) == before
    assert uses.logins_of(log.path, ["user0", "nobody"]).keys() == {"user0"}


def test_the_table_is_bounded_and_the_oldest_uses_go(log: AuditLog) -> None:
    for n in range(10):
        launch(log, "anna", f"s{n}")
    with sqlite3.connect(log.path) as db:
        uses.cut(db, 4)
    db.close()
    assert set(uses.uses_of(log.path, [f"s{n}" for n in range(10)])) == {"s6", "s7", "s8", "s9"}


def test_launches_are_counted_by_day_by_session_and_by_user(log: AuditLog) -> None:
    for user, session in (("anna", "s1"), ("anna", "s2"), ("bob", "s1")):
        launch(log, user, session)
    span = ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")
    found = uses.count_launches(log.path, *span, user="", by_month=False, most=10)
    assert (found.total, found.spans) == (3, [("2026-01-01", 3)])
    assert found.sessions == [("s1", "Session s1", 2), ("s2", "Session s2", 1)]
    assert found.users == [("anna", 2), ("bob", 1)]
    assert uses.count_launches(log.path, *span, user="bob", by_month=True, most=10).spans == [("2026-01", 1)]


@pytest.mark.parametrize(
    ("said", "counts"), [(999, 999), (0, 1), (uses.MAX_TIMES + 1, uses.MAX_TIMES), (1 << 52, 10**6)]
)
def test_an_entry_of_several_launches_counts_as_so_many_and_a_servers_word_has_bounds(
    log: AuditLog, said: int, counts: int
) -> None:
    launch(log, "bob", "s2")
    log.add(Event("session-launched", "anna", about={"session": "s1", "name": "One"}, times=said))
    span = ("2026-01-01T00:00:00.000Z", "2026-01-02T00:00:00.000Z")
    found = uses.count_launches(log.path, *span, user="", by_month=False, most=10)
    assert (found.total, found.spans) == (counts + 1, [("2026-01-01", counts + 1)])
    assert dict(found.users) == {"anna": counts, "bob": 1}
    assert {id_: times for id_, _, times in found.sessions} == {"s1": counts, "s2": 1}
    assert uses.uses_of(log.path, ["s1"])["s1"].times == min(said, uses.MAX_TIMES)
