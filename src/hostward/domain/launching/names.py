"""Names that files, command lines and configuration may have, made from a session's name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

MAX_STEM_BYTES: Final = 200
_FORBIDDEN = re.compile('[<>:"|?*%$`!&^]')
is_reserved = re.compile(r"(?i)(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?").fullmatch
"""Names that Windows keeps for devices, whatever comes after a dot."""
_NOT_PLAIN = re.compile("[^A-Za-z0-9._-]+")


def file_stem(name: str) -> str:
    """The name as every system takes it for a file, at most 200 bytes long: without what Windows forbids, what a shell
    would run, a hidden file's dot and an option's dash."""
    stem = _FORBIDDEN.sub("_", name)
    stem = stem.encode()[:MAX_STEM_BYTES].decode(errors="ignore").rstrip(". ")
    return f"_{stem}" if not stem or stem[0] in ".-~" or is_reserved(stem) else stem


def plain(name: str) -> str:
    """The name in letters, digits and . _ - alone: for a command line, whatever the shell, and for OpenSSH's Host."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return _NOT_PLAIN.sub("-", letters).strip("-.")[:64].rstrip("-.") or "session"
