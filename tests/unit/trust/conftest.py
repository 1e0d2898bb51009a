"""Identities and certificates for the tests of trust; making them is quick, so they are real."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hostward.trust.identity import ServerIdentity, load_or_create

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

MakeIdentity = Callable[..., ServerIdentity]


@pytest.fixture(scope="session")
def make_identity(tmp_path_factory: pytest.TempPathFactory) -> MakeIdentity:
    """A new server's identity, made at `now`."""

    def make(host_name: str = "host.example.org", now: datetime = NOW) -> ServerIdentity:
        return load_or_create(Path(tmp_path_factory.mktemp("server")), host_name, ["127.0.0.1"], now)

    return make
