"""The passphrase of a running group: changed on its Master, without an outage, also for servers that are away. The
database has no part in it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.command import hostward
from tests.support.history import History, assert_kept
from tests.support.inventory import rows
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

SETTLED_WITHIN_S = 90.0


def change_of(server: Server) -> dict[str, Any] | None:
    found: dict[str, Any] | None = server.api.status()["passphrase_change"]
    return found


def settled(light: LightGroup) -> bool:
    """Every server says that no change is under way, and each knows the others."""
    for server in light.servers:
        assert change_of(server) is None, server.name
        assert all(n["passphrase_confirmed"] for n in server.api.nodes())
    return True


def mismatch_named(here: Server, there: Server, passphrase: str) -> bool:
    """Test Connection with a passphrase that isn't the group's (any more) names it."""
    tested = here.api.post("replication/test-connection", {**there.target(), "passphrase": passphrase})
    failed = [c["name"] for c in tested["checks"] if c["ok"] is False]
    assert failed == ["passphrase"], tested
    return True


@pytest.mark.feature("R6")
def test_changed_under_load_with_a_slave_away_and_the_master_killed_in_between(
    light: LightGroup, tmp_path: Path
) -> None:
    master, (present, away), history = light.master, light.slaves, History()
    with pytest.raises(Refused) as refused:
        master.api.post("replication/passphrase", {"passphrase": "a second one"})
    assert refused.value.code == "confirmation-required"
    assert any(f"{len(light.slaves)} other servers" in c for c in refused.value.problem["consequences"])
    with pytest.raises(Refused) as refused:
        present.api.post("replication/passphrase", {"passphrase": "a second one", "confirm": True})
    assert (refused.value.status, refused.value.code) == (409, "slave")

    away.stop()
    writers = Writers(master.api, history, count=2, seed=1, prefix="While it changes")
    writers.start()
    try:
        file = tmp_path / "passphrase"
        file.write_text("a second one\n")
        arguments = ["replication", "change-passphrase", "--passphrase-file", str(file), "--yes"]
        said = hostward(*arguments, on=master, home=tmp_path)
        assert said.returncode == 0, said.stderr
        assert away.name in said.stdout

        def only_the_one_away_is_waited_for() -> bool:
            for server in (master, present):
                change = change_of(server)
                assert change is not None, server.name
                assert change["waiting_for"] == [away.name]
                assert any(away.name in w for w in server.api.status()["warnings"])
                unconfirmed = [n["server_name"] for n in server.api.nodes() if not n["passphrase_confirmed"]]
                assert unconfirmed == [away.name]
            return True

        eventually(only_the_one_away_is_waited_for, within_s=20)
        # Nobody stopped talking: what is written is confirmed all the while.
        before = len(history.writes)
        eventually(lambda: len(history.writes) > before + 20, within_s=30)
    finally:
        writers.stop()
    assert all(w.replicated["confirmed"] for w in history.writes if w.acknowledged), "a write wasn't confirmed"
    # A second change while the first waits: the one that is away knows neither.
    master.api.post("replication/passphrase", {"passphrase": "a third one", "confirm": True})
    master.kill()
    master.start()
    eventually(only_the_one_away_is_waited_for, within_s=60)
    away.start()
    light.wait_equal(SETTLED_WITHIN_S)
    eventually(lambda: settled(light), within_s=30)
    for server in light.servers:
        assert server.api.status()["passphrase_is_default"] is False
        assert not any("passphrase" in w for w in server.api.status()["warnings"])
    # The old ones are forgotten, on each side: within a second or so of its learning that all have the new one.
    for here, there in ((away, master), (master, away), (present, away)):
        for old in ("a second one", "hostward-replication"):
            eventually(partial(mismatch_named, here, there, old), within_s=10)
    light.wait_equal()
    assert_kept(history, light.servers)
    back_to_the_default(light)


@pytest.mark.feature("R6")
def test_a_slave_that_was_halted_meanwhile_gets_it_when_it_goes_on(light: LightGroup) -> None:
    master, (present, halted) = light.master, light.slaves
    halted.sigstop()
    try:
        eventually(lambda: silent(master, halted), within_s=20)
        master.api.post("replication/passphrase", {"passphrase": "without it", "confirm": True})
        eventually(lambda: (change_of(present) or {}).get("waiting_for") == [halted.name], within_s=20)
    finally:
        halted.sigcont()
    eventually(lambda: settled(light), within_s=30)
    light.wait_equal(SETTLED_WITHIN_S)
    back_to_the_default(light)


@pytest.mark.feature("R6")
def test_a_server_whose_passphrase_was_changed_alone_is_named_on_both_sides_and_comes_back(light: LightGroup) -> None:
    master, (odd, _) = light.master, light.slaves
    wanted = {"role": "slave", "adapter": odd.address, "master": master.target(), "confirm": True}
    with pytest.raises(Refused) as refused:
        odd.api.put("replication", {**wanted, "passphrase": "mine alone"})
    assert refused.value.code == "connection-passphrase"
    master.api.put("replication", {"role": "master", "passphrase": "theirs alone", "confirm": True})

    def named_on_both_sides() -> bool:
        for here, there in ((master, odd), (odd, master)):
            (row,) = [n for n in here.api.nodes() if n["server_name"] == there.name]
            assert "passphrases differ" in row["detail"], row
        return True

    eventually(named_on_both_sides, within_s=30)
    master.api.put("replication", {"role": "master", "passphrase": "hostward-replication", "confirm": True})
    eventually(lambda: settled(light), within_s=30)
    written = master.api.post("sessions", rows(1, prefix="After the mismatch")[0])
    assert written["replicated"]["confirmed"]
    light.wait_equal()


def silent(here: Server, there: Server) -> bool:
    (row,) = [n for n in here.api.nodes() if n["server_name"] == there.name]
    return bool(row["detail"])


def back_to_the_default(light: LightGroup) -> None:
    """As the next test expects it."""
    light.master.api.post("replication/passphrase", {"passphrase": "hostward-replication", "confirm": True})
    eventually(lambda: settled(light), within_s=30)
    assert all(s.api.status()["passphrase_is_default"] for s in light.servers)
