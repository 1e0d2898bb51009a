"""Secrets at rest: encrypted in server.db, with a key in a file of its own.

It protects copies of server.db that travel by themselves: backups, support bundles, a discarded disk image of the
database. It doesn't protect from whoever can read the whole data directory, where the key is.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hostward.domain.errors import TrustError

KEY_FILE: Final = "secrets.key"
KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12


class Vault:
    """Locks texts with this server's key. `random` gives n random bytes. Any thread."""

    def __init__(self, key: bytes, random: Callable[[int], bytes] = os.urandom) -> None:
        self._cipher, self._random = AESGCM(key), random

    @classmethod
    def open(cls, identity_dir: Path) -> Vault:
        """With the key in the directory of the identity, made when there is none. Raises TrustError
        "identity-damaged" or "identity-unwritable"."""
        path = identity_dir / KEY_FILE
        try:
            if not path.exists():
                _create(path)
            key = path.read_bytes()
        except OSError as error:
            raise TrustError(
                f"The key for this server's secrets, {path}, can't be read or written: {error.strerror or error}.",
                remedy="Check who owns the directory, its permissions and the free space, then start again.",
                code="identity-unwritable",
            ) from error
        if len(key) != KEY_BYTES:
            raise TrustError(
                f"The key for this server's secrets, {path}, is damaged.",
                remedy="Put it back from a backup. Without one, move it away, start, and enter the passphrase again.",
                code="identity-damaged",
            )
        return cls(key)

    def lock(self, text: str, name: str) -> str:
        """The text encrypted, for being kept under that name."""
        nonce = self._random(_NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, text.encode(), name.encode())).decode()

    def unlock(self, locked: str, name: str) -> str:
        """The text. Raises TrustError "secret-unreadable" for what wasn't locked with this key and name."""
        try:
            data = base64.b64decode(locked, validate=True)
            nonce, sealed = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, sealed, name.encode()).decode()
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise TrustError(
                "A secret in server.db can't be read with the key there is.",
                remedy=f"Put back {KEY_FILE} in the data directory's identity/ from a backup.",
                code="secret-unreadable",
            ) from error


def _create(path: Path) -> None:
    """By one rename, so that a crash leaves a whole key or none."""
    new = path.with_name(f"{path.name}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
