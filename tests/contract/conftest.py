from __future__ import annotations

import pytest
from tests.contract.benches import Bench, MemoryBench


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["memory"])
async def bench(request: pytest.FixtureRequest) -> Bench:
    return MemoryBench()


@pytest.fixture(params=["memory"])
async def closable(request: pytest.FixtureRequest) -> Bench:
    """A bench whose store may be closed."""
    return MemoryBench()
