"""What the audit log is written: at once, or counted, so that no flood fills the disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hostward.access.auditing import MAX_DIFFERENT, WINDOW_S, Auditor, open_auditor
from hostward.domain.audit import DONE, REFUSED, Event, Filter
from hostward.registry import audit_reading
from hostward.registry.server import ServerRegistry
from hostward.trust.identity import load_or_create

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Clock:
    """Passes only when told; moments and seconds alike."""

    seconds: float = 0.0

    def now(self) -> str:
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def auditor(tmp_path: Path, clock: Clock) -> Iterator[Auditor]:
    server = ServerRegistry.open(tmp_path / "server.db")
    identity = load_or_create(tmp_path, "a.example.com", [], datetime.now(UTC))
    opened = open_auditor(tmp_path, server, identity, "a", clock.now, lambda: "log of a test")
    found = Auditor(opened.log, server, identity, clock.now, lambda: clock.seconds)
    yield found
    found.log.close()
    server.close()


def entries(auditor: Auditor, act: str) -> list[Event]:
    """The oldest first."""
    return [kept.entry.event for kept in audit_reading.all_entries(auditor.path, Filter(act=act))][::-1]


def launch(user: str, session: str, address: str = "192.0.2.1") -> Event:
    return Event("session-launched", user, address, DONE, about={"session": session, "name": "One"})


async def test_a_hundred_thousand_failed_logins_leave_few_entries_and_none_is_forgotten(
    auditor: Auditor, clock: Clock
) -> None:
    """Spread over ten minutes and as many addresses; what else was done is there all the same."""
    tries, minutes = 100_000, 10
    for number in range(tries):
        clock.seconds = number * minutes * WINDOW_S / tries
        address = f"2001:db8::{number:x}"
        await auditor.record(
            Event("logged-in", "(unknown)", address, REFUSED, "The user name or the password is wrong.")
        )
        if number % 500 == 0:
            await auditor.flush()
        if number == tries // 2:
            await auditor.record(Event("session-created", "admin", "192.0.2.1", about={"name": "meanwhile"}))
    await auditor.flush(everything=True)
    found = entries(auditor, "logged-in")
    assert sum(e.times for e in found) == tries
    assert len(found) <= (minutes + 1) * (MAX_DIFFERENT + 1) * 2
    assert auditor.path.stat().st_size < 1 << 20
    assert len(entries(auditor, "session-created")) == 1


async def test_who_opens_a_session_again_and_again_is_counted_by_the_minute(auditor: Auditor, clock: Clock) -> None:
    for _ in range(1_000):
        await auditor.record(launch("anna", "s1"))
    await auditor.record(launch("bert", "s1"))
    await auditor.record(launch("anna", "s2"))
    first = entries(auditor, "session-launched")
    assert [(e.user, e.about["session"], e.times) for e in first] == [
        ("anna", "s1", 1),
        ("bert", "s1", 1),
        ("anna", "s2", 1),
    ]
    clock.seconds += WINDOW_S
    await auditor.flush()
    (counted,) = entries(auditor, "session-launched")[3:]
    assert (counted.user, counted.about["session"], counted.times) == ("anna", "s1", 999)
    assert counted.since == "2026-01-01T00:00:00.000Z"
    await auditor.record(launch("anna", "s1"))
    assert [e.times for e in entries(auditor, "session-launched")[4:]] == [1], "another minute"


async def test_equal_downloads_are_counted_and_every_change_has_an_entry_of_its_own(auditor: Auditor) -> None:
    for _ in range(3):
        await auditor.record(Event("package-downloaded", "anna", "192.0.2.1", DONE, about={"package": "p1"}))
        await auditor.record(Event("settings-changed", "anna", "192.0.2.1", DONE, about={"name": "same"}))
    await auditor.flush(everything=True)
    assert [e.times for e in entries(auditor, "package-downloaded")] == [1, 2]
    assert [e.times for e in entries(auditor, "settings-changed")] == [1, 1, 1]


async def test_what_was_counted_is_written_down_when_the_server_ends(auditor: Auditor) -> None:
    for _ in range(5):
        await auditor.record(launch("anna", "s1"))
    await auditor.flush(everything=True)
    assert sum(e.times for e in entries(auditor, "session-launched")) == 5
