"""For all tests: Hypothesis without deadlines, which a busy machine would miss."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("hostward", deadline=None)
settings.load_profile("hostward")
