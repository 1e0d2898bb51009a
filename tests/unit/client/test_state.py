"""What a desk remembers, and what it believes of what servers say."""

from __future__ import annotations

import json
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hostward.client.state import Desk, KnownServer, load_desk, save_desk
from hostward.domain.errors import InvalidInput

FIRST = KnownServer("1", "one", "https://alias:8443/mss", "PEM 1", given=True, token="hw_1")
SECOND = KnownServer("2", "two", "https://two:8443/mss", "PEM 2", token="hw_2")
DESK = Desk("anna", "g", (FIRST, SECOND), ticket="hwt_x")


def said(*servers: str) -> list[dict[str, Any]]:
    return [
        {"server": s, "name": f"now {s}", "url": f"https://now-{s}:8443/mss", "certificate": f"NEW {s}"}
        for s in servers
    ]


def test_it_is_its_users_alone_and_nothing_of_it_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "state" / "desk.json"
    save_desk(DESK, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert load_desk(path) == DESK
    assert "hw" not in repr(DESK)


def test_none_or_a_damaged_one(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    assert load_desk(path) is None
    for content in ("", "{}", "[]", '{"user": "a", "group": "g", "servers": [{"no": 1}]}', "\x00"):
        path.write_text(content)
        with pytest.raises(InvalidInput, match=r"login URL"):
            load_desk(path)


def test_the_server_that_answered_is_first_and_the_others_keep_their_order() -> None:
    third = KnownServer("3", "three", "https://three/mss", "PEM 3")
    desk = replace(DESK, servers=(FIRST, SECOND, third))
    assert [s.server for s in desk.answered(third).servers] == ["3", "1", "2"]


def test_servers_that_come_go_and_renew_their_certificates_are_learnt() -> None:
    desk = DESK.taught("g", said("3", "2", "1"), 5.0)
    assert [(s.server, s.url, s.certificate, s.token) for s in desk.servers] == [
        ("1", "https://alias:8443/mss", "NEW 1", "hw_1"),  # the address is what the user gave
        ("2", "https://now-2:8443/mss", "NEW 2", "hw_2"),
        ("3", "https://now-3:8443/mss", "NEW 3", ""),
    ]
    assert [s.server for s in desk.taught("g", said("2"), 6.0).servers] == ["2"]


def test_a_server_that_the_system_trusts_goes_on_being_believed_that_way() -> None:
    desk = replace(DESK, servers=(replace(FIRST, certificate=""), SECOND)).taught("g", said("1", "2"), 5.0)
    assert desk.servers[0].certificate == ""


@pytest.mark.feature("A16")
def test_a_server_that_is_in_the_group_no_more_teaches_nothing() -> None:
    assert DESK.taught("its own", said("9"), 5.0) == DESK
    assert DESK.taught("g", [], 5.0) == DESK


@pytest.mark.parametrize("wrong", [{"certificate": ""}, {"url": "http://two/mss"}, {"url": 7}, {"server": None}])
def test_a_server_without_https_or_certificate_is_not_learnt(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        DESK.taught("g", [said("2")[0] | wrong], 5.0)


def test_logged_out_it_holds_nothing_that_opens_anything(tmp_path: Path) -> None:
    path = tmp_path / "desk.json"
    save_desk(DESK.forgotten(), path)
    assert "hw" not in path.read_text()
    assert json.loads(path.read_text())["user"] == "anna"
