from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import InvalidInput
from hostward.domain.join_code import JoinCode
from hostward.domain.replication import Target

CODE = JoinCode(Target("mss-north.example.com", 8443, "mss"), "https", bytes(range(32)).hex(":").upper(), bytes(16))

hosts = st.sampled_from(["a", "mss-north.example.com", "10.1.0.5", "fd00::1", "x" * 63 + ".example.com"])


@given(
    host=hosts,
    port=st.integers(1, 65535),
    context=st.sampled_from(["mss", "a/b-c", "m" * 64]),
    protocol=st.sampled_from(["https", "http"]),
    fingerprint=st.binary(min_size=32, max_size=32),
    secret=st.binary(min_size=16, max_size=16),
)
@pytest.mark.feature("R7")
def test_a_code_is_read_as_it_was_written(
    host: str, port: int, context: str, protocol: str, fingerprint: bytes, secret: bytes
) -> None:
    code = JoinCode(Target(host, port, context), protocol, fingerprint.hex(":").upper(), secret)
    text = code.text()
    assert JoinCode.parse(text) == code
    # Read aloud, typed in small letters, broken by a mail program.
    assert JoinCode.parse(text.lower().replace("-", " ").replace("0", "o").replace("1", "l")) == code
    assert JoinCode.parse("\n".join(text[i : i + 20] for i in range(0, len(text), 20))) == code
    assert set(text) <= set("0123456789ABCDEFGHJKMNPQRSTVWXYZ-")


@pytest.mark.feature("R7")
def test_every_typo_is_told() -> None:
    letters = CODE.text().replace("-", "")
    choose = random.Random(4)
    wrong = [letters[:n] + letters[n + 1 :] for n in range(len(letters))]
    wrong += [
        letters[:n] + choose.choice([c for c in "ABC234" if c != letters[n]]) + letters[n + 1 :]
        for n in range(len(letters) - 1)
    ]
    wrong += [
        letters[:n] + letters[n + 1] + letters[n] + letters[n + 2 :]
        for n in range(len(letters) - 1)
        if letters[n] != letters[n + 1]
    ]
    wrong += ["", "A", letters[:40], letters * 2, letters + "?", "hostward group join", "\0", "é" * 20, letters * 100]
    for text in wrong:
        with pytest.raises(InvalidInput) as refused:
            JoinCode.parse(text)
        assert refused.value.code == "join-code"
        assert refused.value.remedy


def test_the_secret_is_not_shown() -> None:
    assert "secret" not in repr(CODE)
