"""Sessions of every kind that is allowed."""

from __future__ import annotations

from hypothesis import strategies as st

from hostward.domain.changes import Body
from hostward.domain.sessions import CODE_PAGES, MODELS, TYPES, validate_fields
from hostward.domain.texts import name_key

_LETTERS = st.characters(exclude_categories=["C", "Z"], exclude_characters="/\\;.")
_WORDS = st.text(_LETTERS | st.sampled_from(" '=+-@,\""), min_size=1, max_size=30).filter(lambda t: t == t.strip())
_HOSTS = st.sampled_from(["h", "tso1.dublin.example.com", "192.0.2.7", "2001:db8::1", "a-b.1x", "L", "y"])
_LUS = st.just("") | st.from_regex(r"[A-Z@#$][A-Z0-9@#$]{0,7}", fullmatch=True)
_COMMENTS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"]) | st.sampled_from("\t\n\r'=+-@,;\"\\"), max_size=60
) | st.sampled_from(
    [
        "x\\",
        '@name "x"',
        "\u2028\n",
        "x" * 1000,
        "=1+1",
        "'=1+1",
        "''=1+1",
        "'",
        "\r\n",
        "<script>alert(1)</script>",
        "+49 30 1",
        "＝1",
    ]
)


@st.composite
def bodies(draw: st.DrawFn) -> Body:
    type_ = draw(st.sampled_from(TYPES))
    ibm = type_.startswith("IBM")
    return validate_fields(
        {
            "name": draw(_WORDS),
            "type": type_,
            "host": draw(_HOSTS),
            "port": draw(st.integers(1, 65535)),
            "tls": draw(st.booleans()) and type_ != "SSH",
            "lu": draw(_LUS) if ibm else "",
            "model": draw(st.sampled_from(["", *MODELS[type_]])) if ibm else "",
            "code_page": draw(st.sampled_from(["", *CODE_PAGES])) if ibm else "",
            "groups": draw(st.lists(_WORDS, max_size=4, unique_by=name_key)),
            "comment": draw(_COMMENTS),
        }
    )


def inventories() -> st.SearchStrategy[list[Body]]:
    """Lists of sessions whose names differ."""
    return st.lists(bodies(), max_size=8, unique_by=lambda body: name_key(body["name"]))
