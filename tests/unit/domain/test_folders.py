"""Names of places in a directory are the same however they are written, and say what they are in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.folders import MAX_DN, above, dn_key, folder_id, folder_parts, same_place

pytestmark = pytest.mark.feature("R23")

VALUES = st.text(min_size=1, max_size=12).filter(lambda v: v.split() and not any("\ud800" <= c <= "\udfff" for c in v))
TYPES = st.sampled_from(["ou", "CN", "dc", "2.5.4.11", "uid"])
PARTS = st.lists(st.tuples(TYPES, VALUES), min_size=1, max_size=5)


def written(value: str, how: int) -> str:
    """A value with everything escaped that may be: as bytes, or by a backslash where that is enough."""
    if how == 0:
        return "".join(f"\\{byte:02X}" for byte in value.encode())
    return "".join(f"\\{c}" if c in ',+"\\<>;=# ' else c for c in value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ou=People,dc=Example,dc=COM", "OU=people, DC=example , dc=com"),
        ("cn=Berg\\, Anna,dc=x", "CN=berg\\2c anna,DC=x"),
        ("cn=a+uid=b,dc=x", "uid=B + cn=A,dc=x"),
        ("ou=Caf\u00e9,dc=x", "ou=cafe\u0301,dc=x"),
        ("ou=Caf\\C3\\A9,dc=x", "OU=CAF\u00c9,dc=x"),
        ("ou=two  words,dc=x", "ou= Two words ,dc=x"),
    ],
)
def test_a_place_is_the_same_however_it_is_written(one: str, other: str) -> None:
    assert dn_key(one) == dn_key(other)
    assert same_place(one, other)


@pytest.mark.parametrize(
    "other", ["ou=a\\,ou=b,dc=x", "ou=a,ou=b", "ou=a,ou=b,dc=y", "ou=b,ou=a,dc=x", "cn=a,ou=b,dc=x"]
)
def test_another_place_is_another_one(other: str) -> None:
    assert dn_key("ou=a,ou=b,dc=x") != dn_key(other)


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "=x", "ou=", "ou= ", "ou=a,", ",ou=a", "ou=a,,dc=x", "ou=a\\", "o u=a", "ou=\\ff", "ou=" + MAX_DN * "a",
     ",".join(["ou=a"] * 51)],
)  # fmt: skip
def test_what_is_no_name_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        dn_key(wrong)
    assert same_place(wrong, ""), "it is nowhere"


@given(PARTS, st.integers(0, 1), st.integers(0, 1))
def test_each_name_has_one_key_which_says_what_it_is_in(parts: list[tuple[str, str]], one: int, other: int) -> None:
    key, again = (dn_key(",".join(f"{t}={written(v, how)}" for t, v in parts)) for how in (one, other))
    assert key == again
    assert dn_key(key) == key
    assert len(list(above(key))) == len(parts) - 1
    folders = [",".join(f"{t}={written(v, other)}" for t, v in parts[n:]) for n in range(1, len(parts))]
    assert list(above(key)) == [dn_key(folder) for folder in folders]
    assert folder_parts(folder_id("example", key)) == ("example", key)


@pytest.mark.parametrize("wrong", ["", "example", "example\t", "\tou=a", "example\tou=A", "example\tnothing"])
def test_what_is_no_folder_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        folder_parts(wrong)
