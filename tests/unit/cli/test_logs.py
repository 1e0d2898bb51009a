"""`hostward logs`: beside a server's files, and by its API."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from tests.support.server import HOSTWARD, clean_environment
from tests.unit.cli.conftest import answering
from typer.testing import CliRunner

from hostward.cli.app import app

pytestmark = pytest.mark.feature("R24")


def line(event: str, level: str = "info", **about: object) -> str:
    return json.dumps({"event": event, "level": level, "timestamp": "2026-03-01T00:00:00Z", **about}) + "\n"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "hostward.log").write_text(
        "".join(line(f"e{n}") for n in range(700)) + line("broken", "error", server="north", exception="Trace\n  at x")
    )
    return tmp_path


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["logs", *arguments])
    assert done.exit_code == 0, (done.output, done.exception)
    return done.stdout


def test_the_files_of_a_server_that_does_not_run_are_read_the_newest_last(data_dir: Path) -> None:
    printed = run("--data-dir", str(data_dir), "-n", "2").splitlines()
    assert printed == [
        "2026-03-01T00:00:00.000Z INFO e699",
        "2026-03-01T00:00:00.000Z ERROR broken server=north",
        "    Trace",
        "      at x",
    ]
    every = run("--data-dir", str(data_dir), "-n", "10000", "--level", "info").splitlines()
    assert [text.split()[2] for text in every[:700]] == [f"e{n}" for n in range(700)]
    found = json.loads(run("--data-dir", str(data_dir), "--text", "NORTH", "--json"))
    assert [e["event"] for e in found["items"]] == ["broken"]
    assert run("--data-dir", str(data_dir), "--log", "database") == ""


def test_the_whole_log_is_saved_as_it_is(data_dir: Path) -> None:
    file = data_dir / "saved.log"
    run("--data-dir", str(data_dir), "--save", str(file))
    assert file.read_text() == (data_dir / "logs" / "hostward.log").read_text()


def test_a_directory_of_no_server_is_refused(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["logs", "--data-dir", str(tmp_path)])
    assert getattr(done.exception, "code", "") == "no-data-dir"


def test_what_comes_is_shown_as_it_comes(data_dir: Path) -> None:
    command = [str(HOSTWARD), "logs", "--data-dir", str(data_dir), "-n", "1", "--follow", "--level", "warning"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environment()) as following:
        assert following.stdout is not None
        assert "broken" in following.stdout.readline()
        assert [following.stdout.readline().strip() for _ in range(2)] == ["Trace", "at x"]
        log = data_dir / "logs" / "hostward.log"
        log.rename(data_dir / "logs" / "hostward.log.1")
        log.write_text(line("quiet") + line("loud", "warning"))
        assert following.stdout.readline().split()[1:] == ["WARNING", "loud"]
        following.terminate()


def test_of_a_server_it_is_asked_page_by_page() -> None:
    entry = {"at": "2026-03-01T00:00:00.000Z", "level": "info", "event": "e", "about": {}, "trace": ""}
    pages = [
        {"items": [entry] * 500, "next": "1-500", "since": "1-900"},
        {"items": [], "next": "1-400", "since": "1-900"},
        {"items": [entry], "next": "", "since": "1-900"},
    ]
    with answering(*((200, page) for page in pages)) as server:
        printed = run("--server", server.url, "--token", "mine", "-n", "600", "--level", "info", "--text", "a b")
    assert len(printed.splitlines()) == 501
    asked = [a.path.partition("?")[2] for a in server.asked]
    assert asked == [
        "log=hostward&level=info&text=a+b&limit=500",
        "log=hostward&level=info&text=a+b&before=1-500&limit=100",
        "log=hostward&level=info&text=a+b&before=1-400&limit=100",
    ]
