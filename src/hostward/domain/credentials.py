"""The Credential Store: named user names with their secrets, of one server alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hostward.domain.changes import Body
from hostward.domain.errors import InvalidInput, Mistake
from hostward.domain.texts import UNSEEN

MAX_ENTRIES: Final = 1000
MAX_USER: Final = 1000
MAX_SECRET: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}").fullmatch


@dataclass(frozen=True, slots=True)
class Credential:
    """Without its secret."""

    name: str
    user: str
    changed_at: str


def check_credential(given: Mapping[str, Any]) -> Body:
    """`name`, `user` (such as a directory's bind DN) and `secret`. Raises InvalidInput with a Mistake for each."""
    name, user, secret = (given.get(field, "") for field in ("name", "user", "secret"))
    mistakes = []
    if not isinstance(name, str) or not _NAME(name):
        mistakes.append(Mistake("name", "It can't be a name.", "Use 1 to 64 letters, digits, and . _ or -."))
    if not isinstance(user, str) or not 0 < len(user) <= MAX_USER or re.search(f"[{UNSEEN}]", user):
        mistakes.append(Mistake("user", "The user is empty, or has a character that can't be seen.", "Write it."))
    if not isinstance(secret, str) or not 0 < len(secret) <= MAX_SECRET or "\0" in secret:
        mistakes.append(Mistake("secret", "The secret is empty or too long.", f"Use 1 to {MAX_SECRET} characters."))
    if mistakes:
        raise InvalidInput(
            f"The entry can't be used: {mistakes[0].problem}",
            remedy=mistakes[0].remedy,
            code="credential-invalid",
            mistakes=mistakes,
        )
    return {"name": name, "user": user, "secret": secret}
