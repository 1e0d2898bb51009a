"""The API's client: what is sent again and what isn't, and that each failure says what it is."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.unit.cli.conftest import BREAK, answering, make_certificate

from hostward.cli.client import ApiClient, pinned_context, server_url, trusting_context
from hostward.cli.problems import Refused, Unreachable, UsageProblem


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("https://a.example.com:8443/mss", "https://a.example.com:8443/mss"),
        ("https://a.example.com:8443/admin/", "https://a.example.com:8443/admin"),
        ("a.example.com", "https://a.example.com/mss"),
        ("http://127.0.0.2:8080", "http://127.0.0.2:8080/mss"),
    ],
)
def test_a_servers_url_has_one_form(given: str, expected: str) -> None:
    assert server_url(given) == expected


@pytest.mark.parametrize("given", ["", "ftp://a/mss", "https://", "https://user:secret@a/mss", "https://a:port/mss"])
def test_what_is_no_url_is_refused(given: str) -> None:
    with pytest.raises(UsageProblem):
        server_url(given)


def test_reading_survives_a_broken_connection() -> None:
    with answering((BREAK, None), (200, {"role": "master"})) as server, ApiClient(server.url) as api:
        assert api.get("replication") == {"role": "master"}
        assert len(server.asked) == 2


def test_a_change_is_sent_once_unless_the_server_can_recognise_it() -> None:
    with answering((BREAK, None), (200, {})) as server, ApiClient(server.url) as api:
        with pytest.raises(Unreachable) as caught:
            api.put("replication", {"role": "master"})
        assert len(server.asked) == 1
        assert caught.value.code == "broken"
    with answering((BREAK, None), (201, {"revision": 2})) as server, ApiClient(server.url) as api:
        assert api.post("sessions", {"name": "A"}, once=True) == {"revision": 2}
        first, second = (asked.headers["Idempotency-Key"] for asked in server.asked)
        assert first == second


def test_a_problem_keeps_its_remedy_and_mistakes() -> None:
    mistakes = [{"row": 4, "field": "port", "problem": "70000 is no port", "remedy": "1 to 65535"}]
    problem = {"title": "Invalid", "detail": "1 mistake", "remedy": "Mend it.", "code": "x", "mistakes": mistakes}
    with answering((422, problem)) as server, ApiClient(server.url) as api, pytest.raises(Refused) as caught:
        api.post("sessions", {})
    refused = caught.value
    assert (refused.message, refused.remedy, refused.mistakes) == ("1 mistake", "Mend it.", mistakes)


def test_a_confirmation_is_asked_for_once_with_the_consequences() -> None:
    problem = {"detail": "Confirm it.", "code": "confirmation-required", "consequences": ["The database restarts."]}
    with answering((409, problem), (202, {"job": {"id": "j"}})) as server, ApiClient(server.url) as api:
        shown: list[list[str]] = []

        def yes(refused: Refused) -> bool:
            shown.append(refused.consequences)
            return True

        assert api.confirmed("PUT", "replication", {"role": "master"}, yes) == {"job": {"id": "j"}}
        assert shown == [["The database restarts."]]
        assert server.asked[1].body == b'{"role":"master","confirm":true}'
    with answering((409, problem)) as server, ApiClient(server.url) as api:
        with pytest.raises(Refused):
            api.confirmed("PUT", "replication", {"role": "master"}, lambda refused: False)
        assert len(server.asked) == 1


def test_another_programs_answer_is_told_from_ours() -> None:
    with answering((404, {"message": "no"})) as server, ApiClient(server.url) as api, pytest.raises(Refused) as caught:
        api.get("replication")
    assert "servlet context" in caught.value.remedy


def test_nothing_listening_an_unknown_name_and_a_plain_port_each_say_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with ApiClient(f"https://127.0.0.1:{port}/mss") as api, pytest.raises(Unreachable) as refused:
        api.put("replication", {})
    assert refused.value.code == "refused"
    with ApiClient("https://no-such-host.invalid/mss") as api, pytest.raises(Unreachable) as unknown:
        api.get("replication")
    assert unknown.value.code == "name"
    with answering((200, {})) as server, ApiClient(server.url.replace("http:", "https:")) as api:
        with pytest.raises(Unreachable) as plain:
            api.get("replication")
        assert plain.value.code == "tls"
        assert "http://" in plain.value.remedy


def test_only_the_confirmed_certificate_is_trusted(tmp_path: Path) -> None:
    own, other = make_certificate(tmp_path / "own.pem"), make_certificate(tmp_path / "other.pem")
    with answering((200, {"ok": True}), certificate=own) as server:
        with ApiClient(server.url) as api, pytest.raises(Unreachable) as untrusted:
            api.get("me")
        assert untrusted.value.code == "certificate"
        assert "--insecure" in untrusted.value.remedy
        assert "hostward login" in untrusted.value.remedy
        with ApiClient(server.url, verify=pinned_context(own.pem), pinned=True) as api:
            assert api.get("me") == {"ok": True}
        with ApiClient(server.url, verify=trusting_context()) as api:
            assert api.get("me") == {"ok": True}
        with ApiClient(server.url, verify=pinned_context(other.pem), pinned=True) as api:
            with pytest.raises(Unreachable) as changed:
                api.get("me")
            assert changed.value.code == "certificate-changed"


@pytest.mark.feature("A11")
@pytest.mark.parametrize("host", ["192.0.2.1:8080", "server.example.com", "localhost.example.com"])
def test_no_token_and_no_password_is_sent_where_others_can_read_it(host: str) -> None:
    for url in (f"http://{host}/mss", f"HTTP://{host}"):
        with pytest.raises(UsageProblem, match="over HTTP others can read them") as refused:
            ApiClient(url, token="hw_secret")
        assert "https://" in refused.value.remedy
        with ApiClient(url) as api, pytest.raises(UsageProblem):
            api.check_encrypted()
    for url in ("http://127.0.0.1:8080", "http://[::1]", f"https://{host}"):
        with ApiClient(url, token="hw_secret") as api:
            api.check_encrypted()
