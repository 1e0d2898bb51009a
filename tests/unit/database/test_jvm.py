"""The JVM's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostward.database.install import Runtime
from hostward.database.java import Java
from hostward.database.jvm import node_command
from hostward.database.settings import NodeSettings


@pytest.mark.feature("R9")
def test_a_node_is_as_patient_as_its_settings_say() -> None:
    here = Path("/nowhere")
    settings = NodeSettings("c", "10.0.0.1", (), here, here, here, here, ring_delay_ms=8_000)
    runtime = Runtime(Java(here, 17, "a build"), (), here, here)
    assert [a for a in node_command(runtime, settings) if "ring_delay" in a] == ["-Dcassandra.ring_delay_ms=8000"]
