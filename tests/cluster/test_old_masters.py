"""A Master that was away, was restored from old files, or burned, while the group went on: with database nodes."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from tests.support.group import Group, trust, trust_anew
from tests.support.history import History
from tests.support.inventory import rows
from tests.support.masters import (
    cut_off,
    follow,
    goes_on,
    halted_alone,
    promote,
    reconnect,
    refused_by,
    restore,
    write,
    write_until_confirmed,
)
from tests.support.server import Server
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

HALTED_FOR_S = 60.0
LED_WITHIN_S = 180.0


@pytest.fixture(scope="module")
def group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Group]:
    """One of its own: another server leads it after each test."""
    group = Group(tmp_path_factory.mktemp("led"), gated=True)
    try:
        group.form()
        yield group
    finally:
        group.destroy()


@pytest.fixture
def led(group: Group) -> Iterator[Group]:
    """The group, with each promotion's outcome settled before the history is looked at."""
    yield group
    group.mend()
    group.wait_settled(LED_WITHIN_S)


def set_aside(server: Server) -> int:
    return sum(r["set_aside"] for r in server.api.get("change-requests")["items"])


def led_by(group: Group, master: Server) -> None:
    """Until that server is everybody's Master, and all are Up, equal and in sync."""
    group.is_master(master)
    eventually(lambda: {s.api.status()["role"] for s in group.slaves} == {"slave"}, within_s=LED_WITHIN_S)
    group.wait_settled(LED_WITHIN_S)


def end_with_its_node(server: Server) -> None:
    """Both at once, as with a machine that loses its power."""
    node = psutil.Process(server.signal_jvm(signal.SIGKILL))
    server.kill()
    node.wait(30)


@pytest.mark.feature("R27")
@pytest.mark.feature("R9")
def test_a_master_and_its_node_halted_for_a_minute_while_a_slave_is_promoted(history: History, led: Group) -> None:
    old, new, third = led.servers
    before = set_aside(old)
    write(old, history, "had by all")
    led.wait_equal()
    cut_off(led)
    old.signal_jvm(signal.SIGSTOP)
    assert write(old, history, "the old Master's alone")["confirmed"] is False
    old.sigstop()
    reconnect(*led.servers)
    promote(new)
    follow(third, new)
    write_until_confirmed(new, history, "of the new Master", within_s=LED_WITHIN_S)
    goes_on_for(new, history, HALTED_FOR_S)
    old.signal_jvm(signal.SIGCONT)  # else the server would end its node, as one that hangs
    old.sigcont()
    refused = refused_by(old, "sessions", **rows(1, prefix="Too late")[0])
    assert refused.status in (409, 503), refused
    led_by(led, new)
    eventually(lambda: {set_aside(s) - before for s in led.servers} == {1}, within_s=LED_WITHIN_S)


def goes_on_for(master: Server, history: History, seconds: float) -> None:
    """One write each second: all are accepted."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        write(master, history, f"meanwhile {ends - time.monotonic():.0f}")
        time.sleep(1)


@pytest.mark.feature("R27")
@pytest.mark.feature("R9")
def test_a_master_restored_with_its_node_from_old_files(history: History, led: Group, tmp_path: Path) -> None:
    """Its node comes back with rows that are older than everybody else's, under the Host Id that the ring knows."""
    old, new, third = led.servers
    write(old, history, "before the backup")
    led.wait_equal()
    old.stop()
    assert old.jvm_pids() == []
    shutil.copytree(old.data_dir, tmp_path / "backup", symlinks=True)
    old.start()
    led.wait_settled()
    host_id = {n["server_name"]: n["host_id"] for n in new.api.nodes()}[old.name]
    for n in range(20):
        write(old, history, f"after the backup {n}")
    led.wait_equal()
    end_with_its_node(old)
    restore(old, tmp_path / "backup")
    led.wait_settled(LED_WITHIN_S)
    write(old, history, "after the first restore")
    led.wait_equal()
    end_with_its_node(old)
    promote(new)
    follow(third, new)
    write_until_confirmed(new, history, "of the next epoch", within_s=LED_WITHIN_S)
    restore(old, tmp_path / "backup")
    led_by(led, new)
    assert {n["server_name"]: n["host_id"] for n in new.api.nodes()}[old.name] == host_id


@pytest.mark.feature("R27")
@pytest.mark.feature("R9")
def test_a_master_burns_after_one_slave_had_confirmed_and_the_other_is_promoted(history: History, led: Group) -> None:
    old, had, promoted = led.servers
    before = set_aside(had)
    halted_alone(promoted)
    node = promoted.signal_jvm(signal.SIGSTOP)
    assert write(old, history, "confirmed by one Slave")["confirmed"] is True
    old.renew()
    goes_on(promoted)
    psutil.Process(node).send_signal(signal.SIGCONT)
    promote(promoted)
    follow(had, promoted)
    assert "confirmed by one Slave" in [s["name"] for s in promoted.api.export()]
    write_until_confirmed(promoted, history, "afterwards", within_s=LED_WITHIN_S)
    # A new machine at the burned one's address takes its place.
    gone = next(n["host_id"] for n in promoted.api.nodes() if n["server_name"] == old.name)
    promoted.follow(promoted.api.delete(f"replication/nodes/{gone}", confirm=True)["job"], within_s=LED_WITHIN_S)
    old.start()
    for here in (promoted, had):
        trust_anew(here, old)
        trust(old, here)
    promoted.apply(role="master", slaves=[s.target() for s in (had, old)])
    old.apply(role="slave", adapter=old.address, master=promoted.target(), within_s=LED_WITHIN_S)
    led_by(led, promoted)
    assert set_aside(promoted) == before
