"""The files that real emulators open, made from a session's definition, and read again where there are such already.

One module a format. A session was checked when it was written (`domain/sessions.py`), and is checked once more before
anything is made of it; what a format would take for something else than it is, is quoted, left out and named, or
refused. Nothing here opens a file or knows a registry.
"""

from hostward.domain.launching.files import (
    EMULATORS,
    Emulator,
    LaunchFile,
    Program,
    check_user,
    emulators_of,
    launch_file,
)

__all__ = ["EMULATORS", "Emulator", "LaunchFile", "Program", "check_user", "emulators_of", "launch_file"]
