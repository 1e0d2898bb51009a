from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.feature("R9")
def test_a_standalone_server_never_loads_the_driver() -> None:
    program = (
        "import sys\n"
        "import hostward.database.process, hostward.database.ring, hostward.database.session\n"
        "import hostward.database.archive, hostward.database.nodetool, hostward.database.cassandra_log\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('cassandra', 'jgo')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
