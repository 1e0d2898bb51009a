"""A server's own certificate is renewed in a group that goes on: nothing lost, no outage, a Slave away meanwhile. What
the database nodes have to do with it (nothing: they have certificates of their own) is in test_joining.py."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from tests.support.api import Api, Refused
from tests.support.authority import Authority
from tests.support.history import History
from tests.support.light import LightGroup
from tests.support.server import CONTEXT, HTTP_PORT, HTTPS_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.trust.identity import fingerprint

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R7")]


@pytest.fixture
def group(light: LightGroup) -> LightGroup:
    """Three servers without database nodes; the first is the Master."""
    light.wait_writable()
    return light


@pytest.fixture
def plain(group: LightGroup) -> Iterator[list[Api]]:
    """The servers over HTTP: the tests' HTTPS clients trust a certificate's file, which becomes another one."""
    found = [Api(f"http://{s.address}:{HTTP_PORT}/{CONTEXT}", s.certificate_file) for s in group.servers]
    yield found
    for api in found:
        api.close()


def own_mark(server: Server) -> str:
    """The fingerprint of a server's certificate, from its file."""
    return fingerprint(server.certificate_file.read_text(encoding="ascii"))


def marks(api: Api) -> dict[str, str]:
    """Fingerprints by friendly name, the server's own left out."""
    return {c["friendly_name"]: c["fingerprint"] for c in api.get("trusted-certificates/mss")["items"] if not c["own"]}


def renew(server: Server) -> dict[str, Any]:
    """Renew a server's certificate; its new one is in force, and served."""
    before = own_mark(server)
    done: dict[str, Any] = server.api.post("server/certificate/renew", {"confirm": True})
    assert done["fingerprint"] == own_mark(server) != before
    assert server.api.get("server")["fingerprint"] == done["fingerprint"]
    return done


def wait_trusted(here: Api, renewed: Server, names: set[str]) -> None:
    """Until a server trusts the other's new certificate, under the same friendly name as before."""

    def replaced() -> bool:
        found = marks(here)
        return set(found) == names and own_mark(renewed) in found.values()

    eventually(replaced, within_s=60)


def confirmed(api: Api) -> dict[str, bool]:
    return {m["server_name"]: m["confirmed"] for m in api.get("server/certificate")["members"]}


def test_renewals_under_writes_with_a_slave_away(group: LightGroup, plain: list[Api], history: History) -> None:
    master, (slave, away) = group.master, group.slaves
    names = {s.name: set(marks(s.api)) for s in group.servers}
    with pytest.raises(Refused) as asked:
        master.api.post("server/certificate/renew", {})
    assert asked.value.code == "confirmation-required"
    away.stop()
    writers = Writers(plain[0], history, count=2, seed=3, prefix="renewal")
    writers.start()
    old = own_mark(master)
    renew(master)
    renew(slave)
    renew(master)
    wait_trusted(slave.api, master, names[slave.name])
    wait_trusted(master.api, slave, names[master.name])
    writers.stop()
    answered = history.acknowledged
    assert answered
    assert all(w.replicated["confirmed"] for w in answered), "the other Slave had each change when its writer was told"
    eventually(lambda: confirmed(master.api) == {slave.name: True, away.name: False}, within_s=30)
    # The Slave that was away meets two new certificates; the Master's went through one that it never saw.
    away.start()
    wait_trusted(away.api, master, names[away.name])
    wait_trusted(away.api, slave, names[away.name])
    group.wait_equal()
    eventually(lambda: all(confirmed(s.api)[away.name] for s in (master, slave)), within_s=30)
    assert old not in {m for s in group.servers for m in marks(s.api).values()}
    assert not (master.data_dir / "identity.previous").exists(), "the old key is destroyed"


def test_a_master_killed_in_a_renewal_goes_on_from_there(group: LightGroup) -> None:
    master = group.master
    names = {s.name: set(marks(s.api)) for s in group.slaves}
    points = ("RENEWAL_PREPARED", "RENEWAL_TOLD", "RENEWAL_IN_FORCE")
    master.restart(env={"HOSTWARD_FAILPOINT": points[0]})
    for point, following in zip(points, (*points[1:], ""), strict=True):
        group.wait_writable()
        before = own_mark(master)
        with pytest.raises(httpx.TransportError):
            master.api.post("server/certificate/renew", {"confirm": True})
        assert master.wait_ended(30) == -signal.SIGKILL, point
        master.start(env={"HOSTWARD_FAILPOINT": following})
        assert own_mark(master) != before, point
        for slave in group.slaves:
            wait_trusted(slave.api, master, names[slave.name])
        group.wait_writable()
        master.api.post("sessions", {"name": f"after {point}", "type": "VT", "host": "h.example.org", "port": 23})
        group.wait_equal()
        eventually(lambda: not (master.data_dir / "identity.previous").exists(), within_s=30)
        assert not (master.data_dir / "identity.next").exists()
        eventually(lambda: confirmed(master.api) == dict.fromkeys((s.name for s in group.slaves), True), within_s=30)


def shown_by(server: Server) -> str:
    """The certificate that its HTTPS port shows."""
    return ssl.get_server_certificate((server.address, HTTPS_PORT))


def test_an_authoritys_certificate_is_warned_of_expires_and_is_renewed(group: LightGroup, plain: list[Api]) -> None:
    slave, (master_api, slave_api, other_api) = group.slaves[0], plain
    names = {"master": set(marks(master_api)), "other": set(marks(other_api))}
    authority, before = Authority(), own_mark(slave)
    asked = slave_api.post("server/certificate/request")["request_pem"]
    # What can't be used is refused, and the old one stays, in the files too.
    issued = authority.issue(asked, valid=timedelta(days=30))
    for wrong in (issued[:300] + issued[340:], issued + authority.root, Authority().chain + issued):
        with pytest.raises(Refused, match="the old one stays") as refused:
            slave_api.put("server/certificate", {"pem": wrong, "confirm": True})
        assert refused.value.problem["remedy"]
    assert own_mark(slave) == before == fingerprint(shown_by(slave))
    slave_api.put("server/certificate", {"pem": issued + authority.chain, "confirm": True})
    assert own_mark(slave) == fingerprint(issued) == fingerprint(shown_by(slave))
    verified_by(authority, slave)
    wait_trusted(master_api, slave, names["master"])
    wait_trusted(other_api, slave, names["other"])
    for api in plain:
        assert warned(api, "expires on"), "30 days are left: every server says so"
    eventually(lambda: not (slave.data_dir / "identity.previous").exists(), within_s=30)
    # For a few seconds only; then nobody believes it any more, and says why, until it is renewed.
    asked = slave_api.post("server/certificate/request")["request_pem"]
    brief = Authority().issue(asked, valid=timedelta(seconds=8))
    slave_api.put("server/certificate", {"pem": brief, "confirm": True})
    wait_trusted(master_api, slave, names["master"])
    wait_trusted(other_api, slave, names["other"])
    eventually(lambda: all(warned(api, "expired on") for api in plain), within_s=30)
    there = slave.target()
    tested = eventually(lambda: failed(master_api.post("replication/test-connection", there)), within_s=30)
    assert tested["name"] == "certificate"
    assert "expired on" in tested["detail"]
    assert "hostward certificate renew" in tested["remedy"]
    slave_api.post("server/certificate/renew", {"confirm": True})
    wait_trusted(master_api, slave, names["master"])
    wait_trusted(other_api, slave, names["other"])
    assert not any(warned(api, "expire") for api in plain)
    master_api.post("sessions", {"name": "after expiry", "type": "VT", "host": "h.example.org", "port": 23})
    group.wait_equal()


def verified_by(authority: Authority, server: Server) -> None:
    """A browser that knows the authority's root, and nothing else, accepts the server."""
    context = ssl.create_default_context(cadata=authority.root)
    with httpx.Client(verify=context, trust_env=False) as browser:
        assert browser.get(f"https://{server.address}:{HTTPS_PORT}/{CONTEXT}/api/v1/health/live").status_code == 200


def warned(api: Api, words: str) -> bool:
    return any("certificate" in w and words in w for w in api.status()["warnings"])


def failed(tested: dict[str, Any]) -> dict[str, Any]:
    """The check of Test Connection that fails; {} where none does."""
    return next((c for c in tested["checks"] if c["ok"] is False), {})
