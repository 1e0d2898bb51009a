"""The server's own log: what is written, at which level, in how many files."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from hostward.domain.settings import LOG_FILES, LOG_LEVEL, LOG_SIZE, OWN_PREFIX, SETTINGS, Scope
from hostward.logs.writing import ServerLog

pytestmark = pytest.mark.feature("R24")

LOGGERS = ("", "hostward", "cassandra")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[ServerLog]:
    """Started; afterwards logging is as it was."""
    root, levels = logging.getLogger(), [logging.getLogger(name).level for name in LOGGERS]
    handlers = root.handlers
    made = ServerLog(tmp_path / "hostward.log")
    made.start()
    yield made
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers = handlers
    for name, level in zip(LOGGERS, levels, strict=True):
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def applied(log: ServerLog, **values: Any) -> None:
    log.apply({OWN_PREFIX + name.replace("_", "-"): value for name, value in values.items()})


def say(about: str = "") -> None:
    """A line of each level, of Hostward's and of a library's."""
    for name in ("hostward.somewhere", "python_multipart.multipart", "cassandra.pool"):
        for level in ("debug", "info", "warning", "error"):
            getattr(logging.getLogger(name), level)("%s %s %s", name, level, about)
    structlog.stdlib.get_logger("hostward.there").debug("structured", about=about)


def said(log: ServerLog) -> set[tuple[str, str]]:
    lines = [json.loads(text) for text in log.path.read_text(encoding="utf-8").splitlines()]
    return {(line["event"].split(".")[0].split()[0], line["level"]) for line in lines}


LIBRARIES = {("python_multipart", "warning"), ("python_multipart", "error"), ("cassandra", "error")}


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("info", {("hostward", "info"), ("hostward", "warning"), ("hostward", "error"), *LIBRARIES}),
        ("warning", {("hostward", "warning"), ("hostward", "error"), *LIBRARIES}),
        ("error", {("hostward", "error"), ("python_multipart", "error"), ("cassandra", "error")}),
        (
            "debug",
            {("hostward", level) for level in ("debug", "info", "warning", "error")}
            | {("structured", "debug")}
            | LIBRARIES,
        ),
    ],
)
def test_the_level_holds_for_hostward_and_at_once_and_libraries_never_say_more_than_warnings(
    log: ServerLog, level: str, expected: set[tuple[str, str]]
) -> None:
    applied(log, log_level=level)
    say()
    assert said(log) == expected


def test_files_are_as_large_and_as_many_as_is_set_and_those_beyond_go_at_once(log: ServerLog) -> None:
    applied(log, log_size=1, log_files=3)
    wide = "x" * 60_000
    for _ in range(100):
        logging.getLogger("hostward").info(wide)
    files = sorted(p.name for p in log.path.parent.iterdir())
    assert files == ["hostward.log", "hostward.log.1", "hostward.log.2", "hostward.log.3"]
    assert all(p.stat().st_size <= 1 << 20 for p in log.path.parent.iterdir())
    applied(log, log_size=1, log_files=1)
    assert sorted(p.name for p in log.path.parent.iterdir()) == ["hostward.log", "hostward.log.1"]


def test_what_only_looks_like_a_log_file_stays(log: ServerLog) -> None:
    kept = [log.path.with_name(name) for name in ("hostward.log.old", "hostward.log.7.gz", "cassandra.log.7")]
    for path in kept:
        path.touch()
    applied(log, log_files=1)
    assert all(path.exists() for path in kept)


@pytest.mark.feature("R10")
def test_its_settings_are_of_this_server_alone() -> None:
    for setting in (LOG_LEVEL, LOG_SIZE, LOG_FILES):
        assert SETTINGS[setting.name].scope is Scope.SERVER
    assert (LOG_LEVEL.default, LOG_SIZE.default, LOG_FILES.default) == ("info", 10, 5)
