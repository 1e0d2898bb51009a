"""Where tests may have a server die: it kills itself when it first comes to the point that HOSTWARD_FAILPOINT names."""

from __future__ import annotations

import os
import signal


def die_at(point: str) -> None:
    """Nothing, unless this is the point."""
    if os.environ.get("HOSTWARD_FAILPOINT") == point:
        os.kill(os.getpid(), signal.SIGKILL)
