"""`hostward user` and `hostward user-group`: what is asked of the server."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_audit import _wide_and_fresh_consoles
from tests.unit.cli.test_command_line import run

__all__ = ["_wide_and_fresh_consoles"]

pytestmark = [pytest.mark.feature("R23"), pytest.mark.feature("R24")]

ANNA: dict[str, Any] = {
    "id": "u1", "name": "anna", "full_name": "Anna Berg", "role": "auditor", "disabled": False, "groups": ["Oslo"],
    "comment": "", "directory": "", "etag": "e", "revision": 3,
}  # fmt: skip
OSLO: dict[str, Any] = {"id": "g1", "name": "Oslo", "users": 1, "groups": [], "comment": ""}


def page(*items: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    return 200, {"items": items, "total": len(items), "page": 1, "per_page": 50}


def test_the_list_of_users_is_filtered_and_sorted_as_the_api_does(capsys: pytest.CaptureFixture[str]) -> None:
    narrowed = ("--in", "oslo", "--role", "", "--state", "no password", "--directory", "Corp", "--sort", "-full_name")
    with answering(page(OSLO), page(ANNA)) as server:
        assert run("user", "list", "berg", *narrowed, "--server", server.url) == 0
    asked = urlsplit(server.asked[1].path)
    assert asked.path.endswith("/users")
    assert parse_qs(asked.query, keep_blank_values=True) == {
        "q": ["berg"], "group": ["g1"], "role": [""], "state": ["no password"], "directory": ["Corp"],
        "sort": ["-full_name"], "page": ["1"], "per_page": ["50"],
    }  # fmt: skip
    assert "Anna Berg" in capsys.readouterr().out


def test_the_list_of_groups_is_sorted_by_how_many_belong_to_them() -> None:
    with answering(page(OSLO)) as server:
        assert run("user-group", "list", "--sort", "-users", "--server", server.url) == 0
    assert parse_qs(urlsplit(server.asked[0].path).query)["sort"] == ["-users"]


def test_many_users_are_changed_by_the_same_words_and_filters_with_one_yes(capsys: pytest.CaptureFixture[str]) -> None:
    done = (200, {"users": 2, "revision": 4, "replicated": {"have": 1, "of": 1, "confirmed": False}})
    with answering(done) as server:
        edits = ("--disable", "--join", "Gone", "--leave", "Oslo")
        assert run("user", "edit-matching", "berg", "--role", "", *edits, "--yes", "--server", server.url) == 0
        assert run("user", "delete-matching", "--state", "disabled", "--yes", "--server", server.url) == 0
        assert run("user", "delete-matching", "--all", "--yes", "--server", server.url) == 0
        assert run("user", "delete-matching", "--yes", "--server", server.url) == 2
        assert run("user", "edit-matching", "berg", "--yes", "--server", server.url) == 2
    assert [(a.path.partition("/users/")[2], json.loads(a.body)) for a in server.asked] == [
        ("edit", {"matching": {"q": "berg", "role": ""}, "disabled": True, "join": ["Gone"], "leave": ["Oslo"],
                  "confirm": True}),
        ("delete", {"matching": {"state": "disabled"}, "confirm": True}),
        ("delete", {"matching": {}, "confirm": True}),
    ]  # fmt: skip
    assert "Changed 2 users" in capsys.readouterr().out
