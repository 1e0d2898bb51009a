"""`hostward report`: what is asked of the server, and what a person reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.cli.conftest import answering
from tests.unit.cli.test_audit import _wide_and_fresh_consoles
from tests.unit.cli.test_command_line import run

__all__ = ["_wide_and_fresh_consoles"]

pytestmark = pytest.mark.feature("R24")

USE = {"id": "s1", "name": "Payroll", "last": "", "by": "", "times": 0, "users": 0}
LAUNCHES = {
    "since": "2026-01-01T00:00:00.000Z", "until": "2026-01-31T00:00:00.000Z", "total": 7,
    "spans": [{"span": "2026-01-03", "launches": 7}, {"span": "2026-01-04", "launches": 0}],
    "sessions": [{"id": "s1", "name": "Payroll", "launches": 7}], "users": [{"user": "anna", "launches": 7}],
    "reach": [{"server": "north", "since": "2025-12-01T00:00:00.000Z", "until": "2026-01-31T00:00:00.000Z"}],
}  # fmt: skip


def test_what_was_opened_is_told_with_how_far_the_logs_go(capsys: pytest.CaptureFixture[str]) -> None:
    with answering((200, LAUNCHES)) as server:
        assert run("report", "launches", "--from", "2026-01-01", "--user", "anna", "--server", server.url) == 0
    assert server.asked[0].path.endswith("/reports/launches?from=2026-01-01&user=anna")
    out = capsys.readouterr().out
    for part in ("7 launches", "2026-01-03", "Payroll", "anna", "Log of north: 2025-12-01 00:00"):
        assert part in out
    assert "2026-01-04" not in out, "days without launches are left out"


def test_what_nobody_used_is_listed_with_where_the_list_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    page = {"items": [USE], "next": "payroll", "known_since": "2025-12-01T00:00:00.000Z"}
    with answering((200, page)) as server:
        assert run("report", "last-use", "--days", "90", "--limit", "1", "--server", server.url) == 0
    assert server.asked[0].path.endswith("/reports/last-use?days=90&limit=1")
    out = capsys.readouterr().out
    for part in ("Payroll", "never", "--after 'payroll'", "Known since 2025-12-01"):
        assert part in out


def test_each_report_is_written_as_csv(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with answering(*[(200, {"a": 1})] * 4) as server:
        for name, wanted in (("launches", []), ("last-use", []), ("logins", ["--days", "30"])):
            assert run("report", name, *wanted, "--csv", str(file), "--server", server.url) == 0
        assert run("report", "who-may", "--group", "Oslo", "--csv", str(file), "--server", server.url) == 0
    asked = [a.path.partition("/reports/")[2] for a in server.asked]
    assert asked == ["launches/csv", "last-use/csv", "logins/csv?days=30", "who-may/csv?group=Oslo"]
    assert b'"a"' in file.read_bytes()
