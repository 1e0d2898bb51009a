from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.suggestions import SHOWN_CHARACTERS, did_you_mean, listed, nearest, shown


@given(st.text(st.characters()))
def test_what_is_shown_is_one_short_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 10 * SHOWN_CHARACTERS + 3


def test_values_that_are_no_text_are_shown_too() -> None:
    assert shown("a\r\nb") == "“a\\r\\nb”"
    assert shown(7) == "“7”"


def test_what_was_probably_meant() -> None:
    assert nearest("htp_port", ["https_port", "http_port", "host_name"]) == "http_port"
    assert nearest("xyz", ["https_port"]) is None
    assert did_you_mean("Nmae", ["name"]) == "Did you mean “name”? "
    assert did_you_mean("?", ["name"]) == ""


def test_lists() -> None:
    assert (listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])) == ("a", "a or b", "a, b or c")
