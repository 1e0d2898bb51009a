"""A script that starts telnet, for hosts without TLS."""

from __future__ import annotations

from shlex import quote

from hostward.domain.launching.remarks import remarks
from hostward.domain.launching.writing import Written, cant
from hostward.domain.sessions import Session


def write(session: Session, file_name: str, user: str) -> Written:
    """See files.launch_file."""
    if session.tls:
        raise cant("telnet has no TLS, which this session needs.", "Use PuTTY's file.")
    lines = [
        "#!/bin/sh",
        *(f"# {remark}" for remark in remarks(session.body(), "name")),
        f"exec telnet {quote(session.host)} {session.port}",
    ]
    return Written(("\n".join(lines) + "\n").encode(), f"sh {quote(file_name)}")
