from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.strategies import bodies

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput
from hostward.domain.sessions import FIELDS, SessionType, check_fields, session_from_body, validate_fields
from hostward.domain.texts import name_key

pytestmark = pytest.mark.feature("R26")

GOOD: Body = {
    "name": "TSO PROD Göteborg 0001",
    "type": "IBM 3270",
    "host": "tso1.gteborg.example.com",
    "port": 992,
    "tls": True,
    "lu": "LU3538",
    "model": "3279-4-E",
    "code_page": "1147",
    "groups": ["Dublin Claims", "Dublin Operations"],
    "comment": 'owner said "do not touch"',
}
MINIMAL = {"name": "a", "type": "VT", "host": "h"}


def with_(**changes: Any) -> dict[str, Any]:
    return GOOD | changes


def mistake(given: dict[str, Any], field: str) -> tuple[str, str]:
    """Problem and remedy of the field, which must be the only one with a mistake."""
    with pytest.raises(InvalidInput) as caught:
        validate_fields(given)
    assert [m.field for m in caught.value.mistakes] == [field], caught.value.mistakes
    assert caught.value.mistakes[0].row is None
    return caught.value.mistakes[0].problem, caught.value.mistakes[0].remedy


def test_a_good_session_is_kept_as_it_is() -> None:
    assert validate_fields(GOOD) == GOOD
    assert tuple(validate_fields(GOOD)) == FIELDS


def test_the_texts_of_a_spreadsheet_become_what_they_stand_for() -> None:
    cells = with_(port="992", tls="yes", groups="Dublin Claims;Dublin Operations")
    assert check_fields(cells) == GOOD


@given(bodies())
def test_a_session_and_its_body_are_the_same(body: Body) -> None:
    session = session_from_body(body, "1f")
    assert session.id == "1f"
    assert session.body() == body == validate_fields(body)


@pytest.mark.parametrize(
    ("given", "port", "tls"),
    [
        ({}, 992, True),
        ({"port": 23}, 23, False),
        ({"port": 992}, 992, True),
        ({"tls": False}, 23, False),
        ({"tls": True, "port": 23}, 23, True),
        ({"type": "SSH"}, 22, False),
        ({"type": "SSH", "port": 2222}, 2222, False),
        ({"port": None, "tls": None, "lu": None}, 992, True),
    ],
)
def test_port_and_tls_may_be_left_out(given: dict[str, Any], port: int, tls: bool) -> None:
    body = validate_fields(MINIMAL | given)
    assert (body["port"], body["tls"]) == (port, tls)
    assert (body["lu"], body["model"], body["code_page"], body["groups"], body["comment"]) == ("", "", "", [], "")


@pytest.mark.parametrize(
    "name", ["", " ", "x" * 129, " a", "a ", "a\n", "a\x1b[0m", "a\u202eb", "a\u200bb", "\ud800", 7]
)
def test_names_that_cannot_be_shown_or_told_apart_are_refused(name: Any) -> None:
    mistake(with_(name=name), "name")


@pytest.mark.parametrize("name", ["../../etc/passwd", "..", ".", "a/b", "a\\b", "..x"])
def test_names_that_are_paths_are_refused_because_names_become_file_names(name: str) -> None:
    problem, remedy = mistake(with_(name=name), "name")
    assert "path" in problem
    assert remedy


@pytest.mark.parametrize("name", [".NET host", "a..b", "x" * 128, "Ledger: PROD 'A' <b>", "日本 1", "e\u0301"])
def test_other_names_are_kept_as_they_are(name: str) -> None:
    assert validate_fields(with_(name=name))["name"] == name


@pytest.mark.parametrize("type_", ["IBM 9999", "ibm 3270", "IBM 3270 ", "3270"])
def test_the_type_that_was_probably_meant_is_named(type_: str) -> None:
    _, remedy = mistake(with_(type=type_), "type")
    assert "Did you mean “IBM 3270”?" in remedy
    assert "SSH" in remedy


@pytest.mark.parametrize(
    "host", ["a", "A-1.example.com", "1.example.com", "192.0.2.1", "2001:db8::7", "x" * 63 + ".de"]
)
def test_hosts(host: str) -> None:
    assert validate_fields(with_(host=host))["host"] == host


@pytest.mark.parametrize(
    ("host", "word"),
    [
        ("", "empty"),
        ("bad host name", "blanks"),
        ("a\nSet-Cookie: x", "line break"),
        ("a\r\nb", "line break"),
        ("a\n", "line break"),
        ("-a", "neither"),
        ("a_b", "neither"),
        ("a..b", "neither"),
        ("192.0.2.300", "neither"),
        ("1.2.3", "neither"),
        ("x" * 64, "neither"),
        ("a." * 126 + "aa", "254 characters"),
        ("https://a/", "URL"),
        ("[2001:db8::7]", "brackets"),
        ("fe80::1%eth0", "zone"),
        ("a;b", "neither"),
        (17, "text"),
    ],
)
def test_hosts_that_are_none(host: Any, word: str) -> None:
    problem, _ = mistake(with_(host=host), "host")
    assert word in problem
    assert "\n" not in problem


def test_remedies_for_hosts_say_what_to_write() -> None:
    assert "“a.example.com”, and 23 as the port" in mistake(with_(host="a.example.com:23"), "host")[1]
    assert "“2001:db8::7”, and 23" in mistake(with_(host="[2001:db8::7]:23"), "host")[1]
    assert "“xn--zrich-kva.example.com”" in mistake(with_(host="zürich.example.com"), "host")[1]


@pytest.mark.parametrize(
    "port", ["", " ", "0", "65536", "70000", "-1", "23.0", "23 ", "０", 0, 70000, True, 23.0, [23]]
)
def test_ports_that_are_none(port: Any) -> None:
    _, remedy = mistake(with_(port=port), "port")
    assert "1 to 65535" in remedy
    assert "992 is usual for IBM 3270 with TLS" in remedy


def test_the_usual_port_depends_on_type_and_tls() -> None:
    assert "23 is usual for VT without TLS" in mistake(MINIMAL | {"port": "", "tls": False}, "port")[1]
    assert "22 is usual for SSH." in mistake(MINIMAL | {"port": "", "type": "SSH"}, "port")[1]


@pytest.mark.parametrize("tls", ["maybe", "", "1", 1, [], {}])
def test_tls_is_yes_or_no(tls: Any) -> None:
    assert "yes or no" in mistake(with_(tls=tls), "tls")[1]


@pytest.mark.parametrize("lu", ["LU WITH SPACE", "LU\n", "-x", "x" * 33, "a:b", "ü", None, 5])
def test_lus_that_are_none(lu: Any) -> None:
    checked = check_fields(with_(lu=lu))
    assert isinstance(checked, tuple)
    assert [m.field for m in checked] == ["lu"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"type": "SSH", "tls": True}, "tls"),
        ({"type": "SSH", "lu": "LU1"}, "lu"),
        ({"type": "VT", "model": "3278-2"}, "model"),
        ({"type": "VT", "code_page": "037"}, "code_page"),
        ({"type": "IBM 5250", "model": "3278-2"}, "model"),
        ({"type": "IBM 3270", "model": "3279-9"}, "model"),
    ],
)
def test_only_sensible_combinations(changes: dict[str, Any], field: str) -> None:
    mistake(MINIMAL | changes, field)


def test_a_field_has_one_mistake_that_says_all_about_it() -> None:
    problem, remedy = mistake(MINIMAL | {"type": "SSH", "lu": "LU WITH SPACE"}, "lu")
    assert "blanks" in problem
    assert "SSH sessions have no lu" in problem
    assert remedy == "Leave lu empty."


@pytest.mark.parametrize(
    ("code_page", "right"), [("37", "037"), ("cp1141", "1141"), ("CP037", "037"), ("1149x", "1149")]
)
def test_code_pages_as_others_write_them_are_explained(code_page: str, right: str) -> None:
    assert f"“{right}”" in mistake(with_(code_page=code_page), "code_page")[1]


@pytest.mark.parametrize("groups", ["a;;b", "a;", " a", "a;A", ["a;b"], ["a", 1], 7, ["x" * 129], ["a"] * 101, ["a\n"]])
def test_groups_that_are_none(groups: Any) -> None:
    mistake(with_(groups=groups), "groups")


def test_comments_are_data_whatever_they_say() -> None:
    for comment in ("<script>alert(1)</script>", " =1+1\r\n\t", "a\nb", "x" * 1000):
        assert validate_fields(with_(comment=comment))["comment"] == comment
    for wrong in ("\x00", "\x1b[2J", "x" * 1001, None, 3):
        assert isinstance(check_fields(with_(comment=wrong)), tuple)


def test_unknown_fields_are_named_with_what_was_meant() -> None:
    checked = check_fields({("codepage" if k == "code_page" else k): v for k, v in GOOD.items()})
    assert isinstance(checked, tuple)
    assert [m.field for m in checked] == ["code_page", "codepage"]
    assert "Did you mean “code_page”?" in checked[1].remedy


def test_every_mistake_is_found_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        validate_fields({"name": "", "type": "VT", "host": "a b", "port": 0, "tls": "?", "colour": 1})
    assert "colour" in {m.field for m in caught.value.mistakes}
    with pytest.raises(InvalidInput) as caught:
        validate_fields({"name": "", "type": "VT", "host": "a b", "port": 0, "tls": "?"})
    assert [m.field for m in caught.value.mistakes] == ["name", "host", "port", "tls"]
    assert caught.value.remedy


_ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(FIELDS), _ANYTHING)
def test_checking_never_raises_and_what_passes_is_stable(field: str, value: Any) -> None:
    checked = check_fields(with_(**{field: value}))
    if isinstance(checked, dict):
        assert check_fields(checked) == checked
    else:
        assert all(m.problem.isprintable() and m.remedy for m in checked)


@given(st.text(max_size=20))
def test_names_that_look_the_same_have_the_same_key(name: str) -> None:
    assert (
        name_key(name) == name_key(unicodedata.normalize("NFD", name)) == name_key(unicodedata.normalize("NFC", name))
    )
    assert name_key("STRASSE é") == name_key("straße E\u0301")


def test_types_are_the_ones_of_the_inventory() -> None:
    assert [t.value for t in SessionType] == ["IBM 3270", "IBM 5250", "VT", "SSH"]
    assert validate_fields(MINIMAL | {"type": SessionType.SSH})["type"] == "SSH"
