"""Launch files by the API: which there are, their names and types, and what is refused."""

from __future__ import annotations

from email.message import Message
from typing import Any
from urllib.parse import unquote

import httpx
import pytest
from tests.unit.http.conftest import Server

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R26")]

SESSION = {"type": "IBM 3270", "host": "tso1.example.com", "lu": "LU1", "model": "3279-4-E", "comment": "secret"}


async def path_of(server: Server, name: str = "TSO Göteborg", **fields: Any) -> str:
    created = await server.create(name, **(SESSION | fields))
    assert created.status_code == 201, created.text
    return f"/sessions/{created.json()['session']['id']}"


def names_of(answer: httpx.Response) -> tuple[str, str]:
    """The file's name, and the one for those that know ASCII alone (RFC 6266)."""
    header = answer.headers["content-disposition"]
    parsed = Message()
    parsed["Content-Disposition"] = header.partition("; filename*=")[0]
    assert parsed.get_content_disposition() == "attachment"
    extended = header.partition("; filename*=UTF-8''")[2]
    return unquote(extended), str(parsed.get_filename())


async def test_a_session_is_given_as_the_file_that_its_emulator_opens(server: Server) -> None:
    path = await path_of(server)
    answer = await server.api.get(f"{path}/launch", params={"format": "x3270"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert names_of(answer) == ("TSO Göteborg.x3270", "TSO-Goteborg.x3270")
    assert "x3270.hostname: L:LU1@tso1.example.com:992\n" in answer.text
    assert "secret" not in answer.text


async def test_a_name_made_to_break_the_header_breaks_nothing(server: Server) -> None:
    path = await path_of(server, 'a"; filename="evil.exe', type="SSH", lu="", model="")
    answer = await server.api.get(f"{path}/launch", params={"format": "openssh"})
    assert names_of(answer) == ("a_; filename=_evil.exe.ssh_config", "a-filename-evil.exe.ssh_config")


async def test_the_programs_for_a_session_are_listed_with_what_starts_them(server: Server) -> None:
    path = await path_of(server)
    items = (await server.api.get(f"{path}/launch-files")).json()["items"]
    assert [item["format"] for item in items] == ["x3270", "c3270", "wc3270", "s3270"]
    assert items[0]["command"] == "x3270 './TSO Göteborg.x3270'"
    assert items[0]["file_name"] == "TSO Göteborg.x3270"
    assert any("certificate" in note for note in items[0]["notes"])
    assert [item["problem"] for item in items] == ["", "", "", ""]


async def test_a_program_that_cant_open_a_session_says_why(server: Server) -> None:
    path = await path_of(server, type="VT", lu="", model="", tls=True, port=992)
    items = {item["format"]: item for item in (await server.api.get(f"{path}/launch-files")).json()["items"]}
    assert "no TLS" in items["telnet"]["problem"]
    assert items["putty"]["problem"] == ""
    for format_, said in (("telnet", "no TLS"), ("x3270", "doesn't open VT sessions"), ("word", "format")):
        refused = await server.api.get(f"{path}/launch", params={"format": format_})
        assert refused.status_code == 422
        assert said in refused.text


async def test_a_user_name_goes_into_the_file_of_an_ssh_session_alone(server: Server) -> None:
    path = await path_of(server, type="SSH", lu="", model="")
    file = await server.api.get(f"{path}/launch", params={"format": "openssh", "user": "jdoe"})
    assert "    User jdoe\n" in file.text
    for route in ("launch", "launch-files"):
        params = {"user": "a\nProxyCommand x"} | ({"format": "openssh"} if route == "launch" else {})
        refused = await server.api.get(f"{path}/{route}", params=params)
        assert refused.status_code == 422
        assert "user's name" in refused.json()["detail"]


async def test_a_session_that_is_not_there_has_no_files(server: Server) -> None:
    for route in ("launch-files", "launch?format=x3270"):
        assert (await server.api.get(f"/sessions/nothing/{route}")).status_code == 404
