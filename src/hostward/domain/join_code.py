"""The join code: what a Master prints and a new server is given, to make the new server its Slave.

It says where the Master is, pins the Master's certificate by its fingerprint, and holds a secret that works once. As
text it is Crockford's base 32 (no I, L, O or U; either case) in groups of five letters, with a checksum: a typo is told
at once, before anything is sent.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from hostward.domain.errors import InvalidInput
from hostward.domain.replication import Target

SECRET_BYTES: Final = 16
FINGERPRINT_BYTES: Final = 32
MAX_CHARACTERS: Final = 1_000
PROTOCOLS: Final = ("https", "http")

_VERSION = 1
_CHECK_BYTES = 4
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {c: n for n, c in enumerate(_ALPHABET)} | {"O": 0, "I": 1, "L": 1}
_GROUP = 5


@dataclass(frozen=True, slots=True)
class JoinCode:
    """Where the Master is, which certificate it has (SHA-256, as `trust.identity.fingerprint` writes it), and the
    secret that it gave out."""

    master: Target
    protocol: str
    fingerprint: str
    secret: bytes = field(repr=False)

    def text(self) -> str:
        """The code as it is shown."""
        host, context = self.master.host.encode(), self.master.context.encode()
        data = b"".join(
            (
                bytes((_VERSION << 4 | PROTOCOLS.index(self.protocol),)),
                self.master.port.to_bytes(2),
                bytes((len(host),)),
                host,
                bytes((len(context),)),
                context,
                bytes.fromhex(self.fingerprint.replace(":", "")),
                self.secret,
            )
        )
        letters = _to_letters(data + _check(data))
        return "-".join(letters[i : i + _GROUP] for i in range(0, len(letters), _GROUP))

    @staticmethod
    def parse(text: str) -> JoinCode:
        """The code in a text that may have been broken over lines. Raises InvalidInput "join-code"."""
        if len(text) > MAX_CHARACTERS:
            raise _not_a_code("It is too long.")
        letters = "".join(c for c in text.upper() if not (c.isspace() or c in "-‐‑–"))
        for n, letter in enumerate(letters):
            if letter not in _VALUES:
                raise _not_a_code(f"It has a character at place {n + 1} that no join code has.")
        data = _from_letters(letters)
        body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        if len(body) < 1 or _check(body) != check:
            raise _not_a_code("Its checksum is wrong: a part is missing or was mistyped.")
        try:
            return _from_bytes(body)
        except (IndexError, ValueError, InvalidInput) as error:
            raise _not_a_code("It was made by another version.") from error


def _from_bytes(data: bytes) -> JoinCode:
    version, protocol = data[0] >> 4, PROTOCOLS[data[0] & 15]
    if version != _VERSION:
        raise ValueError("another version")
    port, at = int.from_bytes(data[1:3]), 4 + data[3]
    host, context_end = data[4:at].decode(), at + 1 + data[at]
    context, rest = data[at + 1 : context_end].decode(), data[context_end:]
    if len(rest) != FINGERPRINT_BYTES + SECRET_BYTES:
        raise ValueError("another length")
    fingerprint = rest[:FINGERPRINT_BYTES].hex(":").upper()
    return JoinCode(Target(host, port, context), protocol, fingerprint, rest[FINGERPRINT_BYTES:])


def _to_letters(data: bytes) -> str:
    """Five bits a letter, the last one filled up with zeros."""
    spare = -len(data) * 8 % 5
    number, count = int.from_bytes(data) << spare, (len(data) * 8 + spare) // 5
    return "".join(_ALPHABET[number >> 5 * n & 31] for n in reversed(range(count)))


def _from_letters(letters: str) -> bytes:
    number = 0
    for letter in letters:
        number = number << 5 | _VALUES[letter]
    size, spare = divmod(len(letters) * 5, 8)
    return (number >> spare).to_bytes(size)


def _check(data: bytes) -> bytes:
    return hashlib.sha256(b"hostward join code\0" + data).digest()[:_CHECK_BYTES]


def _not_a_code(why: str) -> InvalidInput:
    return InvalidInput(
        f"This is no join code. {why}",
        remedy="Copy the whole code that `hostward group invite` printed on the Master.",
        code="join-code",
    )
