"""The real command line, as its own process."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.support.server import HOSTWARD, Server, clean_environment

TIMEOUT_S = 120.0


def hostward(*arguments: str, on: Server | None = None, home: Path) -> subprocess.CompletedProcess[str]:
    """Run `hostward ARGUMENTS`, logged in at a server with a token; `home` is where it may keep files."""
    environment = {**clean_environment(), "XDG_CONFIG_HOME": str(home), "XDG_STATE_HOME": str(home), "COLUMNS": "200"}
    if on is not None:
        environment |= {"HOSTWARD_SERVER": on.api.url, "HOSTWARD_TOKEN": on.api.token(), "HOSTWARD_INSECURE": "1"}
    return subprocess.run(
        [str(HOSTWARD), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment,
        check=False,
    )
