from __future__ import annotations

import pytest

from hostward.domain.errors import InvalidInput
from hostward.trust.passphrase import DEFAULT_PASSPHRASE, Passphrase, check_proof, passphrase_key, proof


@pytest.mark.feature("R6")
def test_it_never_prints() -> None:
    secret = Passphrase("correct horse")
    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}"} == {"***"}
    assert "horse" not in repr([secret])
    assert secret.reveal() == "correct horse"


@pytest.mark.feature("R6")
def test_same_text_same_key_however_it_was_typed() -> None:
    composed, decomposed = Passphrase("caf\u00e9"), Passphrase("cafe\u0301")
    assert composed == decomposed
    assert passphrase_key(composed) == passphrase_key(decomposed)
    assert passphrase_key(composed) != passphrase_key(Passphrase("cafe"))
    assert len(passphrase_key(composed)) == 32


def test_default_is_known_as_such() -> None:
    assert DEFAULT_PASSPHRASE.is_default
    assert Passphrase(DEFAULT_PASSPHRASE.reveal()).is_default
    assert not Passphrase("another").is_default
    assert Passphrase("another") != "another"


@pytest.mark.parametrize("text", ["", "a\nb", "a\x00", "x" * 257, "\ud800"])
def test_what_can_not_be_one_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Passphrase(text)
    assert not text or text not in str(caught.value)


def test_proof_is_for_one_key_and_one_context() -> None:
    given = proof(b"key", b"context")
    assert check_proof(b"key", b"context", given)
    assert not check_proof(b"kex", b"context", given)
    assert not check_proof(b"key", b"contexu", given)
    assert not check_proof(b"key", b"context", b"")
