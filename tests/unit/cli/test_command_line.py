"""Whole commands: options before and after, what is printed, and how they end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.cli.conftest import answering, make_certificate

from hostward.cli import main
from hostward.cli.logins import Logins, SavedLogin, login_file

COUNTS = {"imported": 2, "updated": 0, "unchanged": 0, "skipped": 0, "revision": 7, "mistakes": []}
REPLICATED = {"have": 3, "of": 3, "confirmed": True}
CSV = "name,type,host\nA,VT,a.example.com\nB,VT,b.example.com\n"


def run(*arguments: str) -> int:
    """The exit code of one command."""
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


@pytest.fixture(autouse=True)
def _fresh_consoles() -> None:
    from hostward.cli import output

    output.console.cache_clear()
    output.error_console.cache_clear()


@pytest.mark.parametrize("before", [True, False])
def test_common_options_go_before_and_after(
    before: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTWARD_TOKEN", "from-the-environment")
    file = tmp_path / "sessions.csv"
    file.write_text(CSV, encoding="utf-8")
    certificate = make_certificate(tmp_path / "own.pem")
    with answering((200, COUNTS | {"replicated": REPLICATED}), certificate=certificate) as server:
        common = ["--server", server.url, "--insecure"]
        command = ["session", "import", str(file)]
        assert run(*(common + command if before else command + common)) == 0
        (asked,) = server.asked
    assert asked.headers["Authorization"] == "Bearer from-the-environment"
    assert asked.body.decode() == CSV
    assert asked.path.startswith("/mss/api/v1/sessions/import?")
    out = capsys.readouterr().out
    assert out == "Imported 2 sessions (0 updated, 0 unchanged, 0 skipped): revision 7, on 3 of 3 servers.\n"


@pytest.mark.feature("R26")
def test_all_that_a_search_finds_are_changed_with_one_yes(capsys: pytest.CaptureFixture[str]) -> None:
    changed = {"sessions": 1234, "revision": 7, "replicated": REPLICATED}
    with answering((200, changed)) as server:
        command = ["edit-matching", "dublin", "claims", "--type", "VT", "--port", "2323", "--yes"]
        assert run("session", *command, "--server", server.url) == 0
        assert run("session", "delete-matching", "--all", "--yes", "--server", server.url) == 0
        edited, deleted = (json.loads(asked.body) for asked in server.asked)
        # Neither words nor a type: never all of them by mistake.
        assert run("session", "delete-matching", "--yes", "--server", server.url) == 2
        assert run("session", "edit-matching", "dublin", "--yes", "--server", server.url) == 2
        assert len(server.asked) == 2
    matching = {"q": "dublin claims", "type": "VT"}
    assert edited == {"matching": matching, "fields": {"port": 2323}, "confirm": True}
    assert deleted == {"matching": {"q": None, "type": None}, "confirm": True}
    out = capsys.readouterr().out
    assert out.startswith("Changed 1,234 sessions: revision 7, on 3 of 3 servers.\nDeleted 1,234 sessions")


def test_the_later_option_and_then_the_environment_count(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOSTWARD_SERVER", "https://not-this.invalid/mss")
    with answering((200, {"items": [], "total": 0})) as server:
        assert run("--server", server.url, "session", "list", "--json") == 0
        assert run("--server", "https://nor-this.invalid", "--json", "session", "list", "--server", server.url) == 0
    assert json.loads(capsys.readouterr().out.split("}\n")[0] + "}") == {"items": [], "total": 0}


def test_a_refused_import_shows_every_mistake_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text(CSV, encoding="utf-8")
    mistake = {"row": 4, "field": "port", "problem": "70000 is not a port.", "remedy": "1 to 65535."}
    problem = {"detail": "The file has 1 mistake.", "remedy": "Mend it, or --skip-invalid.", "mistakes": [mistake]}
    with answering((422, problem)) as server:
        assert run("session", "import", str(file), "--server", server.url) == 1
        shown = capsys.readouterr()
        assert run("session", "import", str(file), "--server", server.url, "--json") == 1
    assert shown.out == ""
    for part in ("The file has 1 mistake.", "4", "port", "70000 is not a port.", "1 to 65535.", "--skip-invalid"):
        assert part in shown.err
    assert json.loads(capsys.readouterr().err)["error"]["mistakes"] == [mistake]


def test_what_a_server_stores_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = {"name": "A\x1b]0;owned\x07 [bold]b", "type": "VT", "host": "a", "port": 23, "tls": False, "groups": []}
    with answering((200, {"items": [nasty], "total": 1})) as server:
        assert run("session", "list", "--server", server.url) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert "[bold]b" in out


def test_exit_codes_tell_usage_from_unreachable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("session", "list") == 2
    assert "hostward login" in capsys.readouterr().err
    assert run("session", "no-such-command") == 2
    assert run("session", "list", "--server", "https://no-such-host.invalid") == 3
    assert "can't be resolved" in capsys.readouterr().err


def test_a_needed_confirmation_without_terminal_or_yes_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    status = {"role": "standalone", "wanted_role": "standalone", "protocol": "https", "adapter": None}
    problem = {"detail": "Confirm.", "code": "confirmation-required", "consequences": ["The database restarts."]}
    with answering((200, status), (409, problem)) as server:
        assert run("replication", "set", "--role", "master", "--server", server.url) == 1
        assert [asked.method for asked in server.asked] == ["GET", "PUT"]
    err = capsys.readouterr().err
    assert "The database restarts." in err
    assert "--yes" in err


def test_login_is_kept_for_its_owner_alone_and_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    password = tmp_path / "password"
    password.write_text("a secret\n", encoding="utf-8")
    certificate = make_certificate(tmp_path / "own.pem")
    with answering((200, {"token": "t0k3n", "expires_at": "2030-01-01T00:00:00Z"}), certificate=certificate) as server:
        assert run("login", server.url, "--password-file", str(password)) == 3
        shown = capsys.readouterr().err
        fingerprint = shown.split("(SHA-256): ")[1].split()[0]
        assert run("login", server.url, "--password-file", str(password), "--fingerprint", "00" * 32) == 3
        assert run("login", server.url, "--password-file", str(password), "--fingerprint", fingerprint) == 0
        assert json.loads(server.asked[-1].body) == {"user": "admin", "password": "a secret"}
        saved = Logins.load(login_file())
        assert saved.current == server.url
        assert saved.servers[server.url].certificate == certificate.pem
        assert login_file().stat().st_mode & 0o777 == 0o600
        assert "t0k3n" not in repr(saved)
        assert run("server", "show") == 0
        assert server.asked[-1].headers["Authorization"] == "Bearer t0k3n"
        assert run("logout") == 0
    assert Logins.load(login_file()).servers == {}


def test_damaged_logins_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    login_file().parent.mkdir(parents=True)
    login_file().write_text('{"current": 1', encoding="utf-8")
    assert run("session", "list") == 1
    assert str(login_file()) in capsys.readouterr().err
    assert "t0k3n" not in repr(SavedLogin("admin", "t0k3n"))


def test_help_needs_nothing_heavy() -> None:
    heavy = ["httpx", "rich", "fastapi", "cassandra", "pydantic", "psutil", "cryptography", "hostward.main"]
    code = f"import sys, hostward.cli.app; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_client_commands_never_load_the_server() -> None:
    code = (
        "import sys, hostward.cli.app, hostward.cli.client, hostward.cli.output, hostward.cli.demo.running;"
        "print([m for m in sys.modules if m.split('.')[0] in ('fastapi', 'starlette', 'uvicorn', 'cassandra')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
