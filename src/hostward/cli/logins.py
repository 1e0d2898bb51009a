"""The saved logins of the person at this machine: one file, readable by that person only.

`login.json` = {"current": URL, "servers": {URL: {user, token, expires_at, certificate, fingerprint}}}. `certificate`
is what the person confirmed at login where the system doesn't trust it; later commands trust that one alone.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from hostward.client.private import write_private
from hostward.domain.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class SavedLogin:
    """A login at one server. `certificate` is PEM, or None where the system's own trust is used."""

    user: str
    token: str
    expires_at: str | None = None
    certificate: str | None = None
    fingerprint: str | None = None
    insecure: bool = False

    def __repr__(self) -> str:
        return f"SavedLogin(user={self.user!r}, token=***)"


def login_file() -> Path:
    """Where logins are kept: `hostward/login.json` in the user's configuration directory (XDG)."""
    base = os.environ.get("XDG_CONFIG_HOME") or ""
    return (Path(base) if base else Path.home() / ".config") / "hostward" / "login.json"


@dataclass(slots=True)
class Logins:
    """All saved logins, by the server's URL; `current` is the one used when no server is named."""

    current: str | None
    servers: dict[str, SavedLogin]

    @classmethod
    def load(cls, path: Path) -> Logins:
        """Read the file; none is no logins. Raises InvalidInput if it can't be understood."""
        try:
            raw = json.loads(path.read_text(encoding="utf-8"))
            return cls(raw["current"], {url: SavedLogin(**login) for url, login in raw["servers"].items()})
        except FileNotFoundError:
            return cls(None, {})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InvalidInput(
                f"The saved logins in {path} can't be read ({error}).",
                remedy="Delete that file, then run `hostward login URL` again.",
            ) from error

    def save(self, path: Path) -> None:
        """Replace the file as a whole, mode 0600."""
        content = {"current": self.current, "servers": {url: asdict(login) for url, login in self.servers.items()}}
        write_private(path, json.dumps(content, indent=2) + "\n")
