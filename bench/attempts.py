"""What fails is noted and told, and the rest is measured all the same."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bench.apart import Failed
from hostward.domain.errors import HostwardError


class Attempts:
    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.failures: list[str] = []

    @asynccontextmanager
    async def at(self, what: str) -> AsyncIterator[None]:
        """A failure of what is done within is noted as `what`'s."""
        self._tell(what)
        try:
            yield
        except (Failed, HostwardError, OSError, TimeoutError, LookupError) as error:
            self.failures.append(f"{what}: {str(error) or type(error).__name__}")
            self._tell(f"  failed: {self.failures[-1]}")
