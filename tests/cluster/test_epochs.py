"""Forced promotion, and everybody else: who follows, who doesn't, and what becomes of each change."""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.support.history import History, assert_kept
from tests.support.inventory import rows
from tests.support.light import LightGroup
from tests.support.masters import (
    ENDS_WITHIN_S,
    assert_kept_with_requests,
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
from tests.support.waiting import always, eventually

from hostward.replication.goals import Goal

pytestmark = pytest.mark.cluster


@pytest.fixture
def three(tmp_path: Path) -> Iterator[LightGroup]:
    yield from _formed(LightGroup(tmp_path, count=3))


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[LightGroup]:
    yield from _formed(LightGroup(tmp_path, count=2))


def _formed(group: LightGroup) -> Iterator[LightGroup]:
    try:
        group.form()
        yield group
    finally:
        group.destroy()


@pytest.mark.feature("R27")
def test_a_group_of_two_whose_master_died(pair: LightGroup) -> None:
    old, new, history = pair.master, pair.slaves[0], History()
    assert write(old, history, "confirmed by both")["confirmed"] is True
    cut_off(pair)
    assert write(old, history, "the old Master's alone")["confirmed"] is False
    old.kill()
    reconnect(old, new)
    assert refused_by(new, "replication/promote").code == "confirmation-required"
    # Killed when it begins: it goes on where it was.
    new.restart(env={"HOSTWARD_FAILPOINT": Goal.EPOCH.name})
    with contextlib.suppress(httpx.TransportError):  # it may be killed before it has answered
        new.api.post("replication/promote", {"confirm": True})
    assert new.wait_ended(ENDS_WITHIN_S) == -signal.SIGKILL
    new.start()
    eventually(lambda: new.api.health("master")[0] == 200, within_s=ENDS_WITHIN_S)
    write(new, history, "of the new Master")
    assert [s["host"] for s in new.api.status()["slaves"]] == [old.host]
    # The old one returns, and is killed once more in the middle of going over.
    old.start(env={"HOSTWARD_FAILPOINT": Goal.ADOPTED.name}, wait=False)
    assert old.wait_ended(ENDS_WITHIN_S) == -signal.SIGKILL
    old.start()
    pair.wait_led_by(new)
    assert any("before-following" in b["name"] for b in old.api.get("backups")["items"])
    write(new, history, "confirmed again")
    pair.wait_equal()
    assert_kept_with_requests(pair, history, 1)


@pytest.mark.feature("R27")
def test_a_master_that_was_halted_while_a_slave_was_promoted(pair: LightGroup) -> None:
    """It refuses changes as soon as it goes on, whatever comes first."""
    old, new, history = pair.master, pair.slaves[0], History()
    assert refused_by(new, "replication/promote", confirm=True).code == "master-answers"
    cut_off(pair)
    write(old, history, "not replicated")
    old.sigstop()
    reconnect(old, new)
    promote(new)
    write(new, history, "of the new Master")
    old.sigcont()
    refused = refused_by(old, "sessions", **rows(1, prefix="Too late")[0])
    assert refused.status in (409, 503), refused
    pair.wait_led_by(new)
    assert_kept_with_requests(pair, history, 1)


@pytest.mark.feature("R27")
def test_others_follow_after_a_confirmation_or_when_their_master_does(three: LightGroup) -> None:
    old, new, third, history = *three.servers, History()
    old.kill()
    promote(new)
    claim = eventually(lambda: third.api.status()["claim"], within_s=ENDS_WITHIN_S)
    assert (claim["server_name"], claim["not_asked"]) == (new.name, [old.name])
    assert any(new.name in w for w in third.api.status()["warnings"])
    assert write(new, history, "nobody follows yet")["confirmed"] is False
    assert third.api.status()["epoch"] != new.api.status()["epoch"]
    assert refused_by(third, "replication/follow", server=old.name, confirm=True).code == "not-found"
    assert refused_by(third, "replication/promote", confirm=True).code == "claimed"
    assert refused_by(third, "replication/follow", server=new.name).code == "confirmation-required"
    third.api.post("replication/follow", {"server": new.name, "confirm": True})
    write_until_confirmed(new, history, "followed", within_s=ENDS_WITHIN_S)
    old.start()
    three.wait_led_by(new)
    assert third.api.status()["claim"] is None
    # Again, the other way round: the third isn't asked, but its Master follows.
    new.kill()
    promote(old)
    eventually(lambda: third.api.status()["claim"], within_s=ENDS_WITHIN_S)
    new.start()
    three.wait_led_by(old)
    write(old, history, "after all of it")
    three.wait_equal()
    assert_kept(history, three.servers)


@pytest.mark.feature("R27")
def test_a_slave_that_promotes_itself_is_not_believed(three: LightGroup) -> None:
    """Neither by the Master, which was in contact all the time, also after it has been restarted, nor by the other
    Slave; an administrator may still decide for it."""
    master, liar, third, history = *three.servers, History()
    assert refused_by(liar, "replication/promote", confirm=True).code == "master-answers"
    liar.api.post("replication/promote", {"confirm": True, "insist": True})
    eventually(lambda: liar.api.health("master")[0] == 200, within_s=ENDS_WITHIN_S)
    for server in (master, third):
        eventually(lambda s=server: s.api.status()["claim"], within_s=ENDS_WITHIN_S)  # type: ignore[misc]
    always(lambda: master.api.health("master")[0] == 200, for_s=8)
    assert write(master, history, "of the Master")["confirmed"] is True
    master.restart()
    eventually(lambda: master.api.health("master")[0] == 200, within_s=ENDS_WITHIN_S)
    write(master, history, "after a restart")
    assert write(liar, History(), "of the liar")["have"] == 1
    roles = {s.name: s.api.status()["role"] for s in three.servers}
    assert roles == {master.name: "master", liar.name: "master", third.name: "slave"}
    # An administrator of the Master decides that it shall be so: the other Slave needs no further word.
    follow(master, liar)
    three.wait_led_by(liar)


@pytest.mark.feature("R27")
def test_the_furthest_slaves_changes_are_taken_or_become_requests(three: LightGroup) -> None:
    old, near, far = three.servers
    halted_alone(near)
    assert write(old, History(), "taken from the furthest")["confirmed"] is True
    old.kill()
    goes_on(near)
    promote(near)
    assert [s["name"] for s in near.api.export()] == ["taken from the furthest"]
    follow(far, near)
    old.start()
    three.wait_led_by(near)
    # Once more, and now the furthest can't be asked either.
    halted_alone(old)
    assert write(near, History(), "of who can't be asked")["confirmed"] is True
    near.kill()
    far.sigstop()
    goes_on(old)
    promote(old)
    assert [s["name"] for s in old.api.export()] == ["taken from the furthest"]
    far.sigcont()
    claim = follow(far, old)
    assert set(claim["not_asked"]) == {near.name, far.name}
    near.start()
    three.wait_led_by(old)
    # Both had it, both brought it: it is one request.
    requests = eventually(lambda: old.api.get("change-requests")["items"], within_s=ENDS_WITHIN_S)
    assert len(requests) == 1
    assert requests[0]["set_aside"] is True
    three.wait_equal()
    assert [s["name"] for s in far.api.export()] == ["taken from the furthest"]


@pytest.mark.feature("R27")
def test_a_master_restored_from_an_old_backup_of_its_files(pair: LightGroup, tmp_path: Path) -> None:
    """It takes what its Slave has, of its own epoch and of later ones; and no change is lost that it had accepted."""
    master, slave, history = pair.master, pair.slaves[0], History()
    write(master, history, "before the backup")
    pair.wait_equal()
    master.stop()
    shutil.copytree(master.data_dir, tmp_path / "backup")
    master.start()
    pair.wait_writable()
    write(master, history, "after the backup")
    pair.wait_equal()
    restore(master, tmp_path / "backup")
    pair.wait_writable()
    write(master, history, "after the first restore")
    pair.wait_equal()
    assert_kept(history, pair.servers)
    master.kill()
    promote(slave)
    write(slave, history, "of the next epoch")
    restore(master, tmp_path / "backup")
    pair.wait_led_by(slave)
    assert_kept(history, pair.servers)
    assert slave.api.get("change-requests")["items"] == []
