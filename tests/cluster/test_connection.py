"""Test Connection and Apply towards servers that can't be used: each reason has its own check and its own words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.api import Refused
from tests.support.group import Group, trust
from tests.support.server import HTTP_PORT, HTTPS_PORT, Server

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Standalone server that nobody knows."""
    server = Server("newcomer", tmp_path_factory.mktemp("newcomer"))
    server.start()
    yield server
    server.destroy()


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server("standalone", tmp_path_factory.mktemp("standalone"))
    server.start()
    yield server
    server.destroy()


def failed_check(here: Server, there: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The one check that fails; all before it are well, and none after it was reached."""
    tested = here.api.post("replication/test-connection", {**there, **more})
    assert tested["ok"] is False, tested
    checks = tested["checks"]
    at = next(n for n, c in enumerate(checks) if c["ok"] is False)
    assert all(c["ok"] for c in checks[:at]), checks
    assert all(c["ok"] is None for c in checks[at + 1 :]), checks
    assert checks[at]["detail"]
    assert checks[at]["remedy"]
    found: dict[str, Any] = checks[at]
    return found


def refused_apply(here: Server, there: dict[str, Any], **more: Any) -> Refused:
    """Applying the role Slave is refused, and nothing has changed."""
    before = here.api.status()
    wanted = {"role": "slave", "adapter": here.address, "master": there, "confirm": True, **more}
    with pytest.raises(Refused) as refused:
        here.api.put("replication", wanted)
    now = here.api.status()
    assert [now[k] for k in ("role", "wanted_role", "revision", "protocol", "job")] == [
        before[k] for k in ("role", "wanted_role", "revision", "protocol", "job")
    ]
    return refused.value


def check_both(here: Server, there: dict[str, Any], name: str, **more: Any) -> str:
    """The check of this name fails, at Test Connection and at Apply, with the same words; these."""
    check = failed_check(here, there, **more)
    assert check["name"] == name, check
    refused = refused_apply(here, there, **more)
    assert refused.code == f"connection-{name}", refused
    assert check["detail"] in refused.problem["detail"]
    assert refused.problem["remedy"] == check["remedy"]
    return str(check["detail"])


@pytest.mark.feature("R5")
@pytest.mark.feature("R6")
def test_each_reason_has_its_own_words(group: Group, newcomer: Server) -> None:
    master = group.master
    there = master.target()
    words = [check_both(newcomer, there, "certificate")]
    trust(newcomer, master)
    words.append(check_both(newcomer, there, "certificate-there"))
    trust(master, newcomer)
    words.append(check_both(newcomer, there, "passphrase", passphrase="another one"))
    words.append(check_both(newcomer, {**there, "port": HTTPS_PORT + 1}, "port"))
    words.append(check_both(newcomer, {**there, "context": "other"}, "context"))
    words.append(check_both(newcomer, {**there, "host": "no-such-server.invalid"}, "name"))
    words.append(check_both(newcomer, there, "protocol", protocol="http"))
    words.append(check_both(newcomer, {**there, "port": HTTP_PORT}, "protocol", protocol="https"))
    words.append(check_both(newcomer, {**there, "port": HTTP_PORT}, "protocol", protocol="http"))
    assert len(set(words)) == len(words), words
    tested = newcomer.api.post("replication/test-connection", there)
    assert tested["ok"] is True, tested
    assert all(c["ok"] for c in tested["checks"]), tested


@pytest.mark.feature("R2")
def test_a_master_that_is_no_master(group: Group, newcomer: Server, standalone: Server) -> None:
    trust(newcomer, standalone)
    trust(standalone, newcomer)
    refused = refused_apply(newcomer, standalone.target())
    assert "is Standalone, not a Master" in refused.problem["detail"], refused
    slave = group.slaves[0]
    trust(newcomer, slave)
    trust(slave, newcomer)
    refused = refused_apply(newcomer, slave.target())
    assert "is Slave, not a Master" in refused.problem["detail"], refused
    refused = refused_apply(newcomer, newcomer.target())
    assert "itself" in refused.problem["detail"], refused


@pytest.mark.feature("R14")
@pytest.mark.feature("A6")
def test_the_answer_to_an_outsider_tells_nothing(group: Group, standalone: Server) -> None:
    trust(standalone, group.master)
    check = failed_check(standalone, group.master.target())
    assert check["name"] == "certificate-there"
    assert group.master.name not in str(check)
