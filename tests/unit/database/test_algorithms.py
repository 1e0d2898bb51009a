"""The trust manager algorithm is chosen from what a real Java says that it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from hostward.database.algorithms import choose, trust_algorithm
from hostward.database.install import ensure_runtime
from hostward.database.java import probe


@pytest.mark.feature("R19")
@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ("default PKIX\nPKIX\nSUNX509\n", ""),
        ("default \nPKIX\nSUNX509\n", "SUNX509"),
        ("default \nPKIX\n", "PKIX"),
        ("default \nIBMX509\n", "IBMX509"),
        ("default \nOTHER\nANOTHER\n", "ANOTHER"),
        ("default \n", ""),
        ("", ""),
    ],
)
def test_the_default_is_left_alone_where_it_works(said: str, chosen: str) -> None:
    assert choose(said) == chosen


@pytest.mark.feature("R19")
@pytest.mark.anyio
async def test_a_java_that_lacks_its_own_default_is_told_another(tmp_path: Path) -> None:
    runtime = await ensure_runtime()
    assert runtime.trust_algorithm == ""
    java = java_without_default(tmp_path, runtime.java.path)
    found = probe(java)
    assert found is not None
    assert trust_algorithm(found, runtime.jars, tmp_path) == "SUNX509"
    assert trust_algorithm(found, (), tmp_path) == "SUNX509"  # it isn't asked again


def java_without_default(directory: Path, java: Path) -> Path:
    """A Java as on z/Linux: its security settings name a trust manager that it doesn't have."""
    override = directory / "override.security"
    override.write_text("ssl.TrustManagerFactory.algorithm=IBMX509\n", encoding="ascii")
    script = directory / "java"
    script.write_text(f'#!/bin/sh\nexec {java} -Djava.security.properties={override} "$@"\n', encoding="ascii")
    script.chmod(0o755)
    return script


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
