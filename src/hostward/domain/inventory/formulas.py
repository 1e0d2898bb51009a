"""Text that a spreadsheet would run as a formula.

A session's comment may be `=HYPERLINK(…)`; opened in a spreadsheet it would run on the administrator's machine. An
exported CSV therefore puts an apostrophe before such text (OWASP ASVS 5.0, 1.2.10), and reading takes it away again.
Text that has apostrophes before a formula's first character already gets one more, so that the way back is always
exact: also through Excel, which keeps the apostrophe. JSON isn't touched.
"""

from __future__ import annotations

import re

_FORMULA = re.compile("'*[=+\\-@\t\r\n＝＋－＠]").match
_GUARDED = re.compile("'+[=+\\-@\t\r\n＝＋－＠]").match


def guard(text: str) -> str:
    """The text as a spreadsheet may open it."""
    return f"'{text}" if _FORMULA(text) else text


def unguard(text: str) -> str:
    """The inverse of guard."""
    return text[1:] if _GUARDED(text) else text
