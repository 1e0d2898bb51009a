"""What tests of promotions do to a group: write, promote, follow, cut off, restore from a backup."""

from __future__ import annotations

import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.group import Group
from tests.support.history import History, assert_kept
from tests.support.inventory import rows
from tests.support.server import Server
from tests.support.waiting import eventually

ENDS_WITHIN_S = 90.0


def write(server: Server, history: History, name: str) -> dict[str, object]:
    """One session, noted; the answer's `replicated`."""
    noted = history.begin({})
    answer = server.api.post("sessions", history.mark(noted, {**rows(1)[0], "name": name}))
    history.acknowledge(noted, answer)
    found: dict[str, object] = answer["replicated"]
    return found


def write_until_confirmed(server: Server, history: History, name: str, *, within_s: float) -> None:
    """Sessions of that name, numbered, until one is confirmed: the first may come before a Slave follows."""
    numbers = count(1)
    eventually(lambda: write(server, history, f"{name} {next(numbers)}")["confirmed"], within_s=within_s, every_s=1.0)


def refused_by(at: Server, path: str, **body: object) -> Refused:
    with pytest.raises(Refused) as refused:
        at.api.post(path, body)
    return refused.value


def promote(server: Server) -> None:
    server.api.post("replication/promote", {"confirm": True})
    eventually(lambda: server.api.health("master")[0] == 200, within_s=ENDS_WITHIN_S)


def follow(server: Server, claimant: Server) -> dict[str, Any]:
    """As soon as it has heard the claim, which it then answers."""

    def heard() -> dict[str, Any]:
        claim = server.api.status()["claim"]
        assert claim is not None, "no claim was heard"
        assert claim["server_name"] == claimant.name
        return dict(claim)

    claim = eventually(heard, within_s=ENDS_WITHIN_S)
    server.api.post("replication/follow", {"server": claimant.name, "confirm": True})
    return claim


def cut_off(group: Group) -> None:
    for server in group.servers:
        assert server.gate is not None
        server.gate.shut()


def reconnect(*servers: Server) -> None:
    for server in servers:
        assert server.gate is not None
        server.gate.open()


def halted_alone(server: Server) -> None:
    """It gets nothing any more."""
    assert server.gate is not None
    server.gate.shut()
    server.sigstop()


def goes_on(server: Server) -> None:
    assert server.gate is not None
    server.sigcont()
    server.gate.open()


def assert_kept_with_requests(group: Group, history: History, count: int) -> None:
    """So many writes were set aside, each as a change request that all servers know."""

    def carried() -> bool:
        found = [r for r in group.master.api.get("change-requests")["items"] if r["set_aside"]]
        return len(found) == count

    eventually(carried, within_s=ENDS_WITHIN_S)
    group.wait_equal()
    before = len(history.acknowledged)
    assert_kept(history, group.servers)
    assert before - len(history.acknowledged) == count


def restore(server: Server, backup: Path) -> None:
    """All its files are what they were then, its database node's too."""
    if server.running:
        server.kill()
    shutil.rmtree(server.data_dir)
    shutil.copytree(backup, server.data_dir)
    server.start()
