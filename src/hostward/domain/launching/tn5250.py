"""tn5250's configuration (tn5250rc(5)): one group of options, to be added to ~/.tn5250rc."""

from __future__ import annotations

from shlex import quote
from typing import Final

from hostward.domain.launching.names import plain
from hostward.domain.launching.writing import Written, bracketed, cant
from hostward.domain.sessions import Session

MAX_LINE_BYTES: Final = 120
"""tn5250 reads 126 bytes at once, and takes the rest of a longer line for a line of its own."""
_REPLACED: Final = "$loginname$"
MAPS: Final = frozenset(
    f"{number:03}"
    for number in (37, 256, 273, 277, 278, 280, 284, 285, 290, 297, 420, 424, 500, 870, 871, 875, 880, 905, 1026)
)
"""The code pages that it knows."""


def write(session: Session, file_name: str, user: str) -> Written:
    """See files.launch_file."""
    notes: list[str] = []
    group = plain(session.name)
    options = [f"host = {'ssl:' if session.tls else ''}{bracketed(session.host)}:{session.port}"]
    if session.tls:
        # Without it tn5250 takes any certificate; with it, and no authorities, none.
        options.append("+ssl_verify_server")
        notes.append(
            "tn5250 knows no authorities of its own: add a line “ssl_ca_file = FILE” with the host's. It checks who"
            " signed the host's certificate, not for which name."
        )
    if _REPLACED in session.lu:
        raise cant(f"tn5250 puts the user's name in place of {_REPLACED}.", "Give the session another device name.")
    if session.lu:
        options.append(f"env.DEVNAME = {session.lu}")
    if session.model:
        options.append(f"env.TERM = IBM-{session.model}")
    if session.code_page in MAPS:
        options.append(f"map = {int(session.code_page)}")
    elif session.code_page:
        notes.append(f"The code page {session.code_page} isn't carried: tn5250 doesn't know it, and uses 37.")
    lines = [f"{group} {{", *(f"  {option}" for option in options), "}"]
    if any(len(line) > MAX_LINE_BYTES for line in lines):
        remedy = f"Use one of at most {MAX_LINE_BYTES - 20} characters, or its address."
        raise cant("The host's name is too long for tn5250.", remedy)
    command = f"cat {quote(file_name)} >> ~/.tn5250rc && tn5250 {group}"
    return Written(("\n".join(lines) + "\n").encode(), command, tuple(notes))
