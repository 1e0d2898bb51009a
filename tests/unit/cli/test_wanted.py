"""What `hostward replication …` asks for, from what is there."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.cli.wanted import (
    parse_server,
    server_words,
    wanted_from,
    with_master,
    with_slave,
    without_master,
    without_slave,
)
from hostward.domain.errors import Conflict, InvalidInput, NotFound

B = {"host": "b.example.com", "port": 443, "context": "mss"}
C = {"host": "c.example.com", "port": 8443, "context": "admin"}
MASTER_STATUS: dict[str, Any] = {
    "role": "master",
    "wanted_role": "master",
    "protocol": "https",
    "adapter": "10.0.0.1",
    "master": None,
    "slaves": [{**B, "server_id": "x", "joined": True}],
}
SLAVE_STATUS: dict[str, Any] = {
    "role": "slave",
    "wanted_role": "slave",
    "protocol": "https",
    "adapter": "10.0.0.2",
    "master": B,
    "slaves": [],
}


@pytest.mark.parametrize(
    ("text", "protocol", "expected"),
    [
        ("b.example.com", "https", ("b.example.com", 443, "mss")),
        ("b.example.com", "http", ("b.example.com", 80, "mss")),
        ("b.example.com:8443/admin", "https", ("b.example.com", 8443, "admin")),
        ("https://b.example.com:8443/mss/", "http", ("b.example.com", 8443, "mss")),
        ("[2001:db8::1]:8443", "https", ("2001:db8::1", 8443, "mss")),
        ("2001:db8::1", "https", ("2001:db8::1", 443, "mss")),
    ],
)
def test_a_server_is_named_with_the_guides_defaults(text: str, protocol: str, expected: tuple[str, int, str]) -> None:
    server = parse_server(text, protocol)
    assert (server["host"], server["port"], server["context"]) == expected


@pytest.mark.parametrize("text", ["", ":443", "b:port", "b:0", "b:70000", "ftp://b", "user@b", "two words"])
def test_what_names_no_server_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_server(text, "https")
    assert "HOST:PORT" in caught.value.remedy


@given(
    st.one_of(st.from_regex(r"[a-z0-9][a-z0-9.-]{0,40}", fullmatch=True), st.ip_addresses().map(str)),
    st.integers(1, 65535),
    st.from_regex(r"[a-z][a-z0-9/]{0,10}[a-z0-9]", fullmatch=True),
)
def test_words_and_server_are_the_same(host: str, port: int, context: str) -> None:
    server = {"host": host, "port": port, "context": context}
    assert parse_server(server_words(server), "https") == server


def test_adding_a_slave_keeps_the_others_and_all_settings() -> None:
    wanted = with_slave(wanted_from(MASTER_STATUS), C)
    assert wanted == {"role": "master", "adapter": "10.0.0.1", "protocol": "https", "slaves": [B, C]}
    assert without_slave(wanted, B)["slaves"] == [C]


def test_a_slave_that_is_or_isnt_there_is_said() -> None:
    wanted = wanted_from(MASTER_STATUS)
    with pytest.raises(Conflict):
        with_slave(wanted, {**B, "host": "B.example.com"})
    with pytest.raises(NotFound) as caught:
        without_slave(wanted, C)
    assert server_words(B) in caught.value.remedy
    with pytest.raises(Conflict):
        with_slave(wanted_from(SLAVE_STATUS), C)


def test_a_slave_has_exactly_one_master() -> None:
    with pytest.raises(Conflict) as caught:
        with_master(wanted_from(SLAVE_STATUS), C)
    assert "delete-master" in caught.value.remedy
    assert with_master(wanted_from(MASTER_STATUS), C) == {
        "role": "slave",
        "adapter": "10.0.0.1",
        "protocol": "https",
        "master": C,
    }


def test_deleting_the_master_makes_it_standalone() -> None:
    wanted = without_master(wanted_from(SLAVE_STATUS))
    assert wanted == {"role": "standalone", "adapter": "10.0.0.2", "protocol": "https"}
    with pytest.raises(NotFound):
        without_master(wanted)
