"""A server's own certificate is renewed in a group that goes on: nothing lost, no outage, a Slave away meanwhile."""

from __future__ import annotations

import shutil
from typing import Any

import httpx
import pytest
from tests.support.api import Api, Refused
from tests.support.group import Group, trust
from tests.support.history import History
from tests.support.server import CONTEXT, HTTP_PORT, Server
from tests.support.waiting import eventually
from tests.support.writers import Writers

from hostward.trust.identity import fingerprint

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R7")]


def own_mark(server: Server) -> str:
    """The fingerprint of a server's certificate, from its file."""
    return fingerprint(server.certificate_file.read_text(encoding="ascii"))


def trusted_marks(server: Server) -> dict[str, str]:
    """Fingerprints by friendly name, the server's own left out."""
    items = server.api.get("trusted-certificates/mss")["items"]
    return {c["friendly_name"]: c["fingerprint"] for c in items if not c["own"]}


def renew(server: Server) -> dict[str, Any]:
    """Renew a server's certificate; its new one is in force, and served."""
    before = own_mark(server)
    done: dict[str, Any] = server.api.post("server/certificate/renew", {"confirm": True})
    server.api.close()  # the tests' client trusts the certificate's file, which is another one now
    assert done["fingerprint"] == own_mark(server) != before
    assert server.api.get("server")["fingerprint"] == done["fingerprint"]
    return done


def names_before(server: Server) -> set[str]:
    return set(trusted_marks(server))


def wait_trusted(here: Server, renewed: Server, names: set[str]) -> None:
    """Until a server trusts the other's new certificate, under the same friendly name as before."""

    def replaced() -> bool:
        marks = trusted_marks(here)
        return set(marks) == names and own_mark(renewed) in marks.values()

    eventually(replaced, within_s=60)


def confirmed(server: Server) -> dict[str, bool]:
    members = server.api.get("server/certificate")["members"]
    return {m["server_name"]: m["confirmed"] for m in members}


def test_renewals_under_writes_with_a_slave_away_and_a_master_killed(group: Group, history: History) -> None:
    master, (slave, away) = group.master, group.slaves
    names = {s.name: names_before(s) for s in group.servers}
    with pytest.raises(Refused) as asked:
        master.api.post("server/certificate/renew", {})
    assert asked.value.code == "confirmation-required"
    away.stop()
    # Over HTTP, because the tests' HTTPS clients trust the certificate's file, which becomes another one.
    plain = Api(f"http://{master.address}:{HTTP_PORT}/{CONTEXT}", master.certificate_file)
    writers = Writers(plain, history, count=2, seed=3, prefix="renewal")
    writers.start()
    old = own_mark(master)
    renew(master)
    renew(slave)
    renew(master)
    wait_trusted(slave, master, names[slave.name])
    wait_trusted(master, slave, names[master.name])
    writers.stop()
    plain.close()
    answered = history.acknowledged
    assert answered
    assert all(w.replicated["confirmed"] for w in answered), "the other Slave had each change when its writer was told"
    eventually(lambda: confirmed(master) == {slave.name: True, away.name: False}, within_s=30)
    # The Slave that was away meets two new certificates; the Master's went through one that it never saw.
    away.start()
    wait_trusted(away, master, names[away.name])
    wait_trusted(away, slave, names[away.name])
    group.wait_settled()
    eventually(lambda: all(confirmed(s)[away.name] for s in (master, slave)), within_s=30)
    assert old not in {m for s in group.servers for m in trusted_marks(s).values()}
    assert not (master.data_dir / "identity.previous").exists(), "the old key is destroyed"
    kill_during_renewals(group)


def failed_check(here: Server, there: Server) -> str:
    """Which check of Test Connection fails."""
    tested = here.api.post("replication/test-connection", there.target())
    return next((c["name"] for c in tested["checks"] if c["ok"] is False), "")


def kill_during_renewals(group: Group) -> None:
    """The Master is killed at each step of a renewal, and goes on from there by itself."""
    master = group.master
    for point in ("RENEWAL_PREPARED", "RENEWAL_TOLD", "RENEWAL_IN_FORCE"):
        before = own_mark(master)
        master.restart(env={"HOSTWARD_FAILPOINT": point})
        eventually(lambda: master.api.health("master")[0] == 200, within_s=60)
        with pytest.raises((httpx.TransportError, Refused)):
            master.api.post("server/certificate/renew", {"confirm": True})
        master.wait_ended(30)
        master.api.close()
        master.start()
        assert own_mark(master) != before, point
        for slave in group.slaves:
            wait_trusted(slave, master, names_before(slave))
        group.wait_settled()
        assert not (master.data_dir / "identity.previous").exists()
        assert not (master.data_dir / "identity.next").exists()


def test_a_removed_server_does_not_come_back_by_a_renewal(group: Group) -> None:
    """It renews its certificate where the others can't see it, and they don't follow."""
    removed = group.slaves[1]
    trust(group.master, removed)
    removed.apply(role="standalone")
    group.master.wait_up()
    eventually(lambda: len(group.master.api.nodes()) == 2, within_s=60)
    before = own_mark(removed)
    renew(removed)
    assert failed_check(removed, group.master) == "certificate-there"
    assert failed_check(group.master, removed) == "certificate"
    assert before in trusted_marks(group.master).values()
    assert own_mark(removed) not in trusted_marks(group.master).values()
    # Imported by hand, as any new server's, it may join again.
    for here in (group.master, group.slaves[0]):
        here.api.delete(f"trusted-certificates/mss/{removed.name}")
        shutil.copyfile(removed.certificate_file, here.data_dir / "certificates" / f"{removed.name}.cer")
        here.api.post("trusted-certificates/mss", {"file_name": f"{removed.name}.cer", "friendly_name": removed.name})
    group.make_slave(removed)
    group.wait_settled()
