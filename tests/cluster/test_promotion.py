"""Another server becomes the Master: handed over, there and back."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from tests.support.api import Refused
from tests.support.group import Group
from tests.support.inventory import rows
from tests.support.waiting import eventually

pytestmark = pytest.mark.cluster

SWITCH_WITHIN_S = 10.0


@pytest.fixture
def led(group: Group) -> Iterator[Group]:
    """The group, and the server that led it before leads it afterwards."""
    first = group.master
    yield group
    if group.master is not first:
        group.switch_over(first)


@pytest.mark.feature("R27")
def test_switch_over_there_and_back(led: Group) -> None:
    old, new, third = led.servers
    before = old.api.post("sessions", rows(1, prefix="Before the switch-over")[0])
    with pytest.raises(Refused) as refused:
        old.api.post("replication/switch-over", {"to": new.name})
    assert refused.value.code == "confirmation-required"
    assert refused.value.problem["consequences"]
    began = time.monotonic()
    old.api.post("replication/switch-over", {"to": new.name, "confirm": True})
    eventually(lambda: new.api.health("master")[0] == 200, within_s=SWITCH_WITHIN_S)
    accepted_s = time.monotonic() - began
    led.is_master(new)
    written = new.api.post("sessions", rows(1, prefix="After the switch-over")[0])
    assert written["revision"] > before["revision"]
    led.wait_settled(60)
    settled_s = time.monotonic() - began
    print(f"switch-over: changes accepted after {accepted_s:.1f} s, all Up and in sync after {settled_s:.1f} s")
    assert {s.name: s.api.status()["role"] for s in led.servers} == {
        new.name: "master",
        old.name: "slave",
        third.name: "slave",
    }
    assert {(s["host"], s["joined"]) for s in new.api.status()["slaves"]} == {(old.host, True), (third.host, True)}
    assert third.api.status()["master"] == old.api.status()["master"] == new.target()
