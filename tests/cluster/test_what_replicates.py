"""What replicates and what doesn't (5.13.2): everything that can be set is changed on the Master, and looked at on the
Slaves. The table follows from the product's own declarations: what is new there fails here until it is thought of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.cluster.test_packages import upload, wait_present
from tests.cluster.test_people import SECRET, TOLD_WITHIN_S, gets_in, login
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.zips import zipped

from hostward.domain.requests import KINDS
from hostward.domain.settings import SETTINGS, Scope, Setting

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R10")]

Look = Callable[[Server], object]
OTHER_TEXTS: Mapping[str, Any] = {
    "siteminder-user-header": "X_OTHER", "siteminder-agents": ["192.0.2.7"], "web-agent-name": "the Master's own",
}  # fmt: skip
"""Of settings that are text, one that isn't the default."""


def other(setting: Setting) -> Any:
    if setting.whole:
        return setting.whole.least if setting.whole.usual != setting.whole.least else setting.whole.most
    return OTHER_TEXTS[setting.name] if setting.text else setting.choices[1].value


def value(server: Server, name: str) -> Any:
    return next(s["value"] for s in server.api.get("settings")["items"] if s["name"] == name)


def test_each_setting_reaches_the_slaves_or_stays_as_its_declaration_says(light: LightGroup) -> None:
    for setting in SETTINGS.values():
        before = [value(slave, setting.name) for slave in light.slaves]
        light.master.api.patch("settings", {setting.name: other(setting)})
        light.wait_equal(TOLD_WITHIN_S)
        assert value(light.master, setting.name) == other(setting), setting.name
        found = [value(slave, setting.name) for slave in light.slaves]
        expected = [other(setting)] * 2 if setting.scope is Scope.REPLICATED else before
        assert found == expected, setting.name
        assert before != [other(setting)] * 2, f"{setting.name}: nothing was changed by this"
        told = next(s for s in light.master.api.get("settings")["items"] if s["name"] == setting.name)
        assert told["scope"] == setting.scope.value
        light.master.api.patch("settings", {setting.name: None})


def _sessions(light: LightGroup) -> Look:
    light.master.api.post("sessions", {"name": "R10 session", "type": "VT", "host": "a.example.com"})
    return lambda server: server.api.get("sessions", q="R10 session")["total"]


def _user(light: LightGroup) -> Look:
    light.master.api.post("users", {"name": "r10-user"})
    return lambda server: server.api.get("users", q="r10-user")["total"]


def _password(light: LightGroup) -> Look:
    light.master.api.post("users", {"name": "r10-secret", "password": SECRET})
    return lambda server: gets_in(server, "r10-secret")


def _group(light: LightGroup) -> Look:
    light.master.api.post("user-groups", {"name": "R10 group"})
    return lambda server: server.api.get("user-groups", q="R10 group")["total"]


def _assignment(light: LightGroup) -> Look:
    light.master.api.post("sessions", {"name": "R10 assigned", "type": "VT", "host": "a.example.com"})
    light.master.api.post("assignments", {"to": [{"kind": "everyone"}], "sessions": ["R10 assigned"]})
    return lambda server: server.api.get("assignments", everyone="true")["total"]


def _directory(light: LightGroup) -> Look:
    light.master.api.put("directories/R10", {"servers": ["ldap.example.com"], "user_base": "dc=example,dc=com"})
    return lambda server: [d["name"] for d in server.api.get("directories")["items"]]


def _package(light: LightGroup) -> Look:
    """Its file too."""
    content = zipped(setup_msi=b"installs")
    package = upload(light.master, "R10 package", content)["package"]
    wait_present(light, package["id"])
    return lambda server: server.api.send("GET", f"packages/{package['id']}/file").content == content


def _favourites(light: LightGroup) -> Look:
    light.master.api.post("sessions", {"name": "R10 favourite", "type": "VT", "host": "a.example.com"})
    light.master.api.post("users", {"name": "r10-star", "password": SECRET})
    light.master.api.post("assignments", {"to": [{"kind": "user", "name": "r10-star"}], "sessions": ["R10 favourite"]})
    with login(light.master, "r10-star") as star:
        star.patch("me/favourites", json={"add": ["R10 favourite"]})

    def look(server: Server) -> object:
        with login(server, "r10-star") as star:
            return [s["name"] for s in star.get("me/favourites").json()["items"]]

    return look


REPLICATED: Mapping[str, Callable[[LightGroup], Look]] = {
    "session": _sessions,
    "user": _user,
    "user-password": _password,
    "user-group": _group,
    "assignment": _assignment,
    "directory": _directory,
    "package": _package,
    "favourites": _favourites,
}
"""Each kind of element that people write, but settings."""


def test_the_table_knows_every_kind_that_is_declared() -> None:
    assert {*REPLICATED, "setting"} == set(KINDS)
    assert {s.name for s in SETTINGS.values() if s.text} == set(OTHER_TEXTS)


@pytest.mark.parametrize("kind", REPLICATED)
def test_what_is_made_on_the_master_is_on_every_slave(light: LightGroup, kind: str) -> None:
    look = REPLICATED[kind](light)
    light.wait_equal(TOLD_WITHIN_S)
    assert look(light.master), kind
    for slave in light.slaves:
        assert look(slave) == look(light.master), (kind, slave.name)


def test_what_is_a_servers_own_stays_there(light: LightGroup) -> None:
    """Credential Store, Trusted Certificates, the server's certificate, tokens, log files."""
    master = light.master.api
    before = {s.name: json.dumps(s.api.get("trusted-certificates/security-proxy")) for s in light.slaves}
    certificates = {s.name: s.api.get("server/certificate")["fingerprint"] for s in light.servers}
    assert len(set(certificates.values())) == 3
    master.send("PUT", "credentials/r10", json={"user": "cn=r10", "secret": "only the Master's"})
    master.post("tokens", {"name": "R10 token"})
    own = master.get("server/certificate")["pem"]
    master.post("trusted-certificates/security-proxy", {"friendly_name": "R10", "pem": own})
    light.wait_equal(TOLD_WITHIN_S)
    for slave in light.slaves:
        assert slave.api.get("credentials")["items"] == []
        assert json.dumps(slave.api.get("trusted-certificates/security-proxy")) == before[slave.name]
        assert "R10 token" not in json.dumps(slave.api.get("tokens"))
        assert slave.api.get("server/certificate")["fingerprint"] == certificates[slave.name]
    logs = {s.name: (s.data_dir / "logs" / "hostward.log").read_text(encoding="utf-8") for s in light.servers}
    assert "credential-set" in logs[light.master.name]
    assert not any("credential-set" in logs[s.name] for s in light.slaves)
    for file in (slave.data_dir / "group.db" for slave in light.slaves):
        assert b"only the Master's" not in file.read_bytes()
