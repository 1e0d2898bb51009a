"""A server whose clock is another one, which can be set while it runs (libfaketime). Only the time of day is false;
what measures how long something takes is not."""

from __future__ import annotations

from pathlib import Path

from tests.support.server import Server

LIBRARIES = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
)


class Clock:
    """The clock of one server, true until it is set."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "clock"
        self.set("+0")

    def set(self, by: str) -> None:
        """Such as +1h or -1h."""
        new = self._file.with_suffix(".new")
        new.write_text(by + "\n", encoding="ascii")
        new.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Of a process that has this clock."""
        library = next((str(path) for path in LIBRARIES if path.exists()), None)
        assert library, "there is no libfaketime: apt-get install libfaketime, then run again"
        return {
            "LD_PRELOAD": library,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_RESET": "1",
        }

    def start(self, server: Server) -> None:
        """Start the server with this clock; it ends as any other."""
        server.start(env=self.environment(), forked=False)
