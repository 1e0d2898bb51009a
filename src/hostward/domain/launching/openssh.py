"""OpenSSH's configuration (ssh_config(5)): one Host, to be named after `ssh -F FILE`, or included."""

from __future__ import annotations

from shlex import quote

from hostward.domain.launching.names import plain
from hostward.domain.launching.remarks import remarks
from hostward.domain.launching.writing import Written
from hostward.domain.sessions import Session


def write(session: Session, file_name: str, user: str) -> Written:
    """See files.launch_file."""
    host = plain(session.name)
    lines = [
        *(f"# {remark}" for remark in remarks(session.body(), "name")),
        f"Host {host}",
        f"    HostName {session.host}",
        f"    Port {session.port}",
        *([f"    User {user}"] if user else []),
    ]
    return Written(("\n".join(lines) + "\n").encode(), f"ssh -F {quote(file_name)} {host}")
