"""The passphrase that the servers of a group share. Only proofs of knowing it travel, inside envelopes; and, when it is
changed for a running group, the new one, in envelopes that only a member can open.

Alone it opens nothing, since certificates are needed too (guide, 5.13.6); that is why a default can exist.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from functools import lru_cache
from typing import Final

from hostward.domain.errors import InvalidInput

MAX_CHARACTERS: Final = 256

# Both sides must derive the same key knowing nothing but the passphrase, so the salt is the application's. 32 MiB and
# about a tenth of a second make guessing slow for the only ones who could try: servers that were trusted.
_SALT = b"hostward replication passphrase 1"
_COST, _BLOCK, _PARALLEL = 1 << 15, 8, 1
_MEMORY_BYTES = 64 << 20


class Passphrase:
    """A secret that prints as ***. Unicode is brought to one form (NFC, as in RFC 8265), so that it is the same however
    it was typed."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Raises InvalidInput when empty, too long, or with control characters such as line breaks."""
        text = unicodedata.normalize("NFC", text)
        if not 0 < len(text) <= MAX_CHARACTERS or any(unicodedata.category(c) in ("Cc", "Cs") for c in text):
            raise InvalidInput(
                f"A passphrase has 1 to {MAX_CHARACTERS} characters, without line breaks or other control characters.",
                remedy="Use the same passphrase on every server of the group.",
                code="passphrase",
            )
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that stores it."""
        return self._text

    @property
    def is_default(self) -> bool:
        """Whether it is the one that every installation starts with."""
        return self == DEFAULT_PASSPHRASE

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Passphrase):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


DEFAULT_PASSPHRASE: Final = Passphrase("hostward-replication")


@lru_cache(maxsize=16)
def passphrase_key(passphrase: Passphrase) -> bytes:
    """The 32-byte key that proofs are made with (scrypt). Takes about 0.1 s and 32 MiB the first time for a
    passphrase, so call it first in a thread."""
    return key_of(passphrase.reveal(), _SALT)


def key_of(text: str, salt: bytes) -> bytes:
    """A 32-byte key of what somebody has typed (scrypt), about 0.1 s and 32 MiB: call it in a thread."""
    normal = unicodedata.normalize("NFC", text).encode(errors="surrogatepass")
    return hashlib.scrypt(normal, salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY_BYTES, dklen=32)


def proof(key: bytes, context: bytes) -> bytes:
    """HMAC-SHA-256 of the context: shows that its maker knows the passphrase, for this context only."""
    return hmac.digest(key, context, "sha256")


def check_proof(key: bytes, context: bytes, claimed: bytes) -> bool:
    """Whether `claimed` is the proof for this key and context; takes the same time for any wrong one."""
    return hmac.compare_digest(proof(key, context), claimed)
