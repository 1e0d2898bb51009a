"""Passwords: what one may be, and its hash (Argon2id, RFC 9106)."""

from __future__ import annotations

import secrets
import unicodedata
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from hostward.domain.errors import InvalidInput, Mistake

MIN_CHARACTERS: Final = 8
MAX_CHARACTERS: Final = 256
_GENERATED_BYTES: Final = 15

# About 50 ms on one core of a small server, and the 19 MiB that OWASP's cheat sheet names: an Administrative Server
# has little memory, so slowness comes from passes over it.
_hasher = PasswordHasher(time_cost=5, memory_cost=19 << 10, parallelism=1)
_NOBODYS = _hasher.hash(secrets.token_bytes(16))


def check_new(password: str, user: str, field: str = "new") -> str:
    """The password in the form that is hashed (NFC, RFC 8265). Raises InvalidInput where it is too short, too long, has
    control characters, or is the user's name."""
    text = _normal(password)
    if text is None or len(text) > MAX_CHARACTERS or any(unicodedata.category(c) == "Cc" for c in text):
        problem = f"A password has at most {MAX_CHARACTERS} characters, none of them a control character."
    elif len(text) < MIN_CHARACTERS:
        problem = f"The password has {len(text)} characters."
    elif len(set(text.casefold())) < 3 or text.casefold() in (user.casefold(), "password", "hostward"):
        problem = "This password would be guessed at once."
    else:
        return text
    remedy = f"Choose one of at least {MIN_CHARACTERS} characters; several words are easy to remember."
    raise InvalidInput(problem, remedy=remedy, code="password", mistakes=[Mistake(field, problem, remedy)])


def hash_password(checked: str) -> str:
    """Takes about 50 ms: call it in a thread."""
    return _hasher.hash(checked)


def matches(password: str, hashed: str | None) -> bool:
    """Whether this is the password; takes as long (50 ms: call it in a thread) where there is no such user, None."""
    text = _normal(password)
    try:
        right = _hasher.verify(hashed or _NOBODYS, text if text is not None else "")
    except (VerificationError, InvalidHashError):
        return False
    return right and hashed is not None and text is not None


def generate() -> str:
    """A password that nobody guesses: 120 random bits in 20 characters."""
    return secrets.token_urlsafe(_GENERATED_BYTES)


def _normal(password: str) -> str | None:
    """NFC, or None for what isn't text (half of a surrogate pair)."""
    try:
        password.encode()
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFC", password)
