"""`hostward client` at a user's desk, with a group without a JVM: one login for all servers, whichever of them dies."""

from __future__ import annotations

import json
import os
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.test_packages import as_before, assign, upload, wait_present
from tests.cluster.test_people import SECRET, TOLD_WITHIN_S, login, made
from tests.support.light import LightGroup
from tests.support.server import HOSTWARD, Server, clean_environment
from tests.support.zips import large, zipped

__all__ = ["as_before"]

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R23")]


class Desk:
    """One user's, with a home of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir()
        self.secret = home / "secret"
        self.secret.write_text(SECRET, encoding="utf-8")
        self.environment = {
            **clean_environment(), "HOME": str(home), "XDG_STATE_HOME": str(home / "state"),
            "XDG_DATA_HOME": str(home / "data"), "XDG_CONFIG_HOME": str(home / "config"), "COLUMNS": "200",
        }  # fmt: skip

    def run(self, *arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [str(HOSTWARD), "client", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, env=self.environment, check=False,
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    @property
    def file(self) -> Path:
        """What it remembers of its login."""
        (found,) = (self.home / "state").rglob("desk.json")
        return found

    def sessions(self, *, code: int = 0) -> str:
        """With the password at hand, for where a server asks for it."""
        return self.run("sessions", "--password-file", str(self.secret), code=code)

    def log_in(self, server: Server, user: str) -> str:
        mark = server.api.get("server/certificate")["fingerprint"]
        arguments = ("--user", user, "--password-file", str(self.secret), "--fingerprint", mark)
        return self.run("login", server.api.url, *arguments)


def session(light: LightGroup, name: str, user: str, **fields: Any) -> None:
    light.master.api.post("sessions", {"name": name, "type": "SSH", "host": "a.example.com", **fields})
    light.master.api.post("assignments", {"to": [{"kind": "user", "name": user}], "sessions": [name]})
    light.wait_equal(TOLD_WITHIN_S)


def test_the_server_that_was_logged_in_to_dies_and_the_user_goes_on(light: LightGroup, tmp_path: Path) -> None:
    made(light, "desk-anna")
    session(light, "Desk ledger", "desk-anna")
    desk, first = Desk(tmp_path / "home"), light.slaves[0]
    assert "server1" in desk.log_in(first, "desk-anna"), "the others are known"
    assert "Desk ledger" in desk.run("sessions")
    assert "ssh" in desk.run("launch", "desk LEDGER", "--print")
    first.kill()
    said = desk.run("sessions")
    assert "Desk ledger" in said
    assert f"{first.name} did not answer" in said
    assert "did not answer" not in desk.run("sessions"), "the one that answered comes first now"
    assert "a.example.com" in Path(desk.run("launch", "Desk ledger", "--print").split("-F ")[1].split()[0]).read_text()
    assert "no session" in desk.run("launch", "Somebody else's", "--print", code=1)
    first.start()
    light.wait_writable()
    for kept in (desk.home / "state").rglob("*"):
        mode = stat.S_IMODE(kept.stat().st_mode)
        assert mode & 0o077 == 0, kept
        if kept.is_file():
            assert SECRET not in kept.read_text(encoding="utf-8", errors="replace")
    desk.run("logout")
    assert "Desk ledger" not in desk.run("sessions", code=2)


def test_favourites_are_marked_at_the_desk(light: LightGroup, tmp_path: Path) -> None:
    made(light, "desk-stella")
    for name in ("Desk first", "Desk second"):
        session(light, name, "desk-stella")
    with login(light.slaves[0], "desk-stella") as stella:
        assert stella.patch("me/favourites", json={"add": ["Desk second"]}).json()["ignored"] == []
    light.wait_equal(TOLD_WITHIN_S)
    desk = Desk(tmp_path / "home")
    desk.log_in(light.slaves[1], "desk-stella")
    marked = [line.split() for line in desk.run("sessions").splitlines() if "Desk" in line]
    assert [line[:3] for line in marked] == [["Desk", "first", "SSH"], ["*", "Desk", "second"]]
    alone = desk.run("sessions", "--favourites")
    assert "Desk second" in alone
    assert "Desk first" not in alone


@pytest.mark.feature("R15")
def test_a_package_is_installed_on_whichever_server_answers_and_upgraded(light: LightGroup, tmp_path: Path) -> None:
    """The guide's proof, 5.13.8, step 4: logged in on a Slave, the package downloads and installs."""
    made(light, "desk-bert")
    first, second = tmp_path / "first.zip", zipped(setup_msi=b"version 2", readme_txt=b"words")
    large(first, 20 << 20)
    package = upload(light.master, "Desk client", first, version="1")["package"]
    assign(light, "Desk client", "desk-bert")
    wait_present(light, package["id"])
    desk = Desk(tmp_path / "home")
    desk.log_in(light.slaves[1], "desk-bert")
    assert "Desk client" in desk.run("packages")
    light.slaves[1].kill()
    said = desk.run("install", "desk CLIENT")
    assert "Installed “Desk client” 1" in said
    assert "Open it to install" in said
    place = desk.home / "data" / "hostward" / "packages" / "Desk-client"
    assert os.listdir(place) == ["setup.msi"]
    assert (place / "setup.msi").stat().st_size == 20 << 20
    assert "installed already" in desk.run("install", "Desk client")
    light.slaves[1].start()
    light.wait_writable()
    upload(light.master, "Desk client", second, version="2")
    light.wait_equal(TOLD_WITHIN_S)
    assert json.loads(desk.run("packages", "--json"))[0]["here"] == "1: can be upgraded"
    assert "Installed “Desk client” 2" in desk.run("upgrade")
    assert (place / "setup.msi").read_bytes() == b"version 2"
    assert "up to date" in desk.run("upgrade")
    (place / "readme.txt").write_bytes(b"my own words")
    assert "isn't as it was installed" in desk.run("uninstall", "Desk client")
    assert os.listdir(place) == ["readme.txt"]
    assert "no package" in desk.run("install", "Nobody's client", code=1)


@pytest.mark.feature("A10")
def test_a_disabled_user_is_out_at_the_desk_too(light: LightGroup, tmp_path: Path) -> None:
    path = made(light, "desk-carl")
    session(light, "Desk carl's", "desk-carl")
    desk = Desk(tmp_path / "home")
    desk.log_in(light.slaves[0], "desk-carl")
    assert "Desk carl's" in desk.run("sessions")
    light.master.api.patch(path, {"disabled": True})
    light.wait_equal(TOLD_WITHIN_S)
    said = desk.sessions(code=1)
    assert "Desk carl's" not in said
    assert "disabled" in said


def test_the_master_dies_then_whichever_took_over_and_then_all(light: LightGroup, tmp_path: Path) -> None:
    made(light, "desk-dora")
    session(light, "Desk dora's", "desk-dora")
    desk = Desk(tmp_path / "home")
    desk.log_in(light.master, "desk-dora")
    desk.secret.unlink()
    light.master.kill()
    assert "Desk dora's" in desk.run("sessions")
    second = next(s for s in light.slaves if s.name == json.loads(desk.file.read_text())["servers"][0]["name"])
    second.kill()
    assert "Desk dora's" in desk.run("sessions"), "neither the password nor the Master is needed"
    (third,) = (s for s in light.slaves if s is not second)
    third.kill()
    assert "None of the 3 servers answers" in desk.run("sessions", code=3)


def test_a_server_that_hangs_is_passed_over(light: LightGroup, tmp_path: Path) -> None:
    made(light, "desk-emil")
    session(light, "Desk emil's", "desk-emil")
    desk, hangs = Desk(tmp_path / "home"), light.slaves[1]
    desk.log_in(hangs, "desk-emil")
    hangs.sigstop()
    said = desk.run("sessions")
    assert "Desk emil's" in said
    assert f"{hangs.name} did not answer" in said


@pytest.mark.feature("A10")
def test_logged_out_everywhere_no_server_takes_the_desks_login_or_its_ticket(light: LightGroup, tmp_path: Path) -> None:
    path = made(light, "desk-frida")
    session(light, "Desk frida's", "desk-frida")
    desk = Desk(tmp_path / "home")
    desk.log_in(light.slaves[0], "desk-frida")
    stolen = desk.file.read_text()
    light.master.api.delete(f"{path}/logins")
    light.wait_equal(TOLD_WITHIN_S)
    assert "Password of desk-frida" in desk.run("sessions", code=2)
    assert "Desk frida's" in desk.sessions()
    desk.file.write_text(stolen)
    assert "Desk frida's" not in desk.run("sessions", code=2), "a copy of what it had is worth nothing"


@pytest.mark.feature("A10")
def test_a_server_that_shows_another_certificate_is_passed_over(light: LightGroup, tmp_path: Path) -> None:
    made(light, "desk-gitta")
    session(light, "Desk gitta's", "desk-gitta")
    desk = Desk(tmp_path / "home")
    desk.log_in(light.slaves[0], "desk-gitta")
    state = json.loads(desk.file.read_text())
    assert state["servers"][0]["name"] == light.slaves[0].name
    state["servers"][0]["url"] = state["servers"][1]["url"]
    desk.file.write_text(json.dumps(state))
    said = desk.run("sessions")
    assert f"{light.slaves[0].name} did not answer" in said
    assert "certificate" in said
    assert "Desk gitta's" in said
