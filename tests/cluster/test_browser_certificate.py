"""Browsers see a certificate with a key of its own on one server of a group; between the servers nothing changes."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
from tests.support.api import PASSWORD
from tests.support.authority import Authority
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.server import HTTPS_PORT, Server
from tests.support.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R7"), pytest.mark.feature("R24")]


def as_a_browser(server: Server, authority: Authority) -> int:
    """The login page's status, by whoever trusts just that authority, and compares the name."""
    trusting = ssl.create_default_context(cadata=authority.root)
    with httpx.Client(verify=trusting, trust_env=False) as client:
        return client.get(f"https://{server.address}:{HTTPS_PORT}/mss/login").status_code


def test_installed_on_a_slave_while_the_group_goes_on(tmp_path: Path) -> None:
    group = LightGroup(tmp_path / "group", count=2)
    try:
        group.form()
        master, (slave,) = group.master, group.slaves
        authority, file, password = Authority(), tmp_path / "web.pfx", tmp_path / "password"
        file.write_bytes(authority.hand_out([slave.address]).pkcs12(authority.chain, "export me"))
        password.write_text("export me\n")
        with pytest.raises(httpx.ConnectError):
            as_a_browser(slave, authority)
        wrong = hostward("certificate", "install-for-browsers", str(file), on=slave, home=tmp_path)
        assert (wrong.returncode != 0, "password is wrong" in wrong.stderr) == (True, True), wrong
        done = hostward(
            "certificate", "install-for-browsers", str(file), "--password-file", str(password), "--yes",
            on=slave, home=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done
        assert f"CN={slave.address}" in done.stdout
        assert as_a_browser(slave, authority) == 200
        _log_in_by_the_own_one(slave, tmp_path)
        for _ in range(2):
            made = master.api.post("sessions", {"name": f"after {_}", "type": "VT", "host": "a.example.com"})
            eventually(lambda made=made: slave.api.status()["revision"] >= made["revision"], within_s=30)  # type: ignore[misc]
            slave.restart()  # every connection is made anew
        assert as_a_browser(slave, authority) == 200
        assert slave.api.get("server/certificate/for-browsers")["certificate"]["source"] == "browsers"
        acts = [e["act"] for e in slave.api.get("audit")["items"]]
        assert "browser-certificate-installed" in acts
        gone = hostward("certificate", "remove-for-browsers", "--yes", on=slave, home=tmp_path)
        assert gone.returncode == 0, gone
        with pytest.raises(httpx.ConnectError):
            as_a_browser(slave, authority)
    finally:
        group.destroy()


def _log_in_by_the_own_one(server: Server, home: Path) -> None:
    """Pinned by its fingerprint, as the server's own command shows it."""
    own = server.api.get("server")["fingerprint"]
    secret = home / "admins"
    secret.write_text(PASSWORD)
    done = hostward(
        "login", server.api.url, "--user", "admin", "--fingerprint", own, "--password-file", str(secret), home=home
    )
    assert done.returncode == 0, done
    listed = hostward("certificate", "own", home=home)
    assert (listed.returncode, own in listed.stdout) == (0, True), listed
