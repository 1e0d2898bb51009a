"""`hostward doctor --data-dir`: why a server that doesn't run would not start."""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.unit.commands.servers import open_server
from typer.testing import CliRunner

from hostward.cli.app import app
from hostward.domain.replication import Role
from hostward.main import nodetool
from hostward.registry.lock import lock_data_dir
from hostward.registry.server import ServerRegistry
from hostward.replication.ring.node import Node
from hostward.replication.state import KEY, StateStore
from hostward.trust.identity import load_or_create
from hostward.trust.renewals import new_pair, prepare
from hostward.trust.vault import Vault


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    directory.mkdir()
    with open_server(directory):
        pass
    return directory


@pytest.fixture
def config(tmp_path: Path) -> Path:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
    file = tmp_path / "hostward.toml"
    file.write_text(f'[server]\nlisten = "127.0.0.1"\nhttps_port = {ports[0]}\nhttp_port = {ports[1]}\n')
    return file


def codes(data_dir: Path, config: Path, *, exit_code: int = 1) -> dict[str, str]:
    done = CliRunner().invoke(app, ["doctor", "--json", "--data-dir", str(data_dir), "--config", str(config)])
    assert done.exit_code == exit_code, done.output
    return {f["code"]: f["cause"] for f in json.loads(done.stdout)["findings"]}


@pytest.mark.feature("R31")
def test_a_server_that_is_only_stopped(data_dir: Path, config: Path) -> None:
    assert set(codes(data_dir, config)) == {"server-not-running"}


@pytest.mark.feature("R31")
def test_a_port_that_another_process_has(data_dir: Path, config: Path) -> None:
    port = int(config.read_text().split("https_port = ")[1].split()[0])
    with socket.create_server(("127.0.0.1", port)):
        assert str(port) in codes(data_dir, config)["port-in-use"]


@pytest.mark.feature("R31")
@pytest.mark.parametrize("name", ["group.db", "server.db"])
def test_a_damaged_registry_file(data_dir: Path, config: Path, name: str) -> None:
    (data_dir / name).write_bytes(b"\xa5" * 8192)
    assert name in codes(data_dir, config)["registry-damaged"]


@pytest.mark.feature("R31")
def test_an_identity_that_is_gone_or_cut(data_dir: Path, config: Path) -> None:
    file = data_dir / "identity" / "servletcontainer.cer"
    good = file.read_bytes()
    file.write_bytes(good[:100])
    assert "identity-damaged" in codes(data_dir, config)
    file.unlink()
    (data_dir / "identity" / "servletcontainer.key").unlink()
    assert "missing" in codes(data_dir, config)["identity-damaged"]
    assert not file.exists()


@pytest.mark.feature("R31")
def test_a_configuration_with_a_mistake(data_dir: Path, config: Path) -> None:
    config.write_text("[server]\nhtps_port = 1\n")
    assert "htps_port" in codes(data_dir, config)["configuration-wrong"]


def test_a_directory_that_is_none(tmp_path: Path, config: Path) -> None:
    assert set(codes(tmp_path / "nowhere", config)) == {"data-dir-unusable"}


def test_a_server_that_runs_is_asked_instead(data_dir: Path, config: Path) -> None:
    with lock_data_dir(data_dir):
        done = CliRunner().invoke(app, ["doctor", "--data-dir", str(data_dir), "--config", str(config)])
    assert done.exit_code != 0
    assert "hostward doctor --server" in str(getattr(done.exception, "remedy", done.output))


def whole(data_dir: Path) -> dict[str, bytes]:
    """All its files; but for the lock, and those that SQLite makes to read."""
    files = [f for f in data_dir.rglob("*") if f.is_file() and not f.name.endswith(("-wal", "-shm", "lock"))]
    return {str(f.relative_to(data_dir)): f.read_bytes() for f in files}


@pytest.fixture
def in_the_middle(data_dir: Path) -> Path:
    """A data directory with a renewal that is ready, another that is being written, and a server.db of a server that
    hasn't made the key of its secrets yet."""
    identity = load_or_create(data_dir, "server.example.com", [], datetime.now(UTC))
    key, pem = new_pair(identity.server_id, "server.example.com", [], datetime.now(UTC))
    prepare(data_dir, identity, datetime.now(UTC), key=key, certificate_pem=pem)
    (data_dir / "identity.new-1").mkdir()
    (data_dir / "identity.new-1" / "servletcontainer.key").write_text("half a k")
    server = ServerRegistry.open(data_dir / "server.db")
    server.put(KEY, {"role": "slave", "adapter": "127.0.0.1"})
    server.close()
    return data_dir


@pytest.mark.feature("R31")
def test_looking_changes_nothing(in_the_middle: Path, config: Path) -> None:
    before = whole(in_the_middle)
    found = codes(in_the_middle, config)
    assert whole(in_the_middle) == before
    assert "server-not-running" in found
    assert "identity-damaged" not in found
    (in_the_middle / "identity").rename(in_the_middle / "identity.previous")
    assert "identity-damaged" not in codes(in_the_middle, config), "the next start finishes the renewal"
    (in_the_middle / "identity.next" / "servletcontainer.key").unlink()
    assert "identity-damaged" in codes(in_the_middle, config)


def test_nodetool_leaves_the_files_of_a_running_server_alone(
    in_the_middle: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def run(node: Node, address: str, arguments: Sequence[str]) -> int:
        asked.extend([address, *arguments])
        return 0

    monkeypatch.setattr(Node, "nodetool", run)
    server = ServerRegistry.open(in_the_middle / "server.db")
    before = whole(in_the_middle)
    with lock_data_dir(in_the_middle):
        assert nodetool(in_the_middle, config, ["status"]) == 0
    assert asked == ["127.0.0.1", "status"]
    assert whole(in_the_middle) == before
    server.close()


@pytest.mark.feature("R31")
def test_where_no_server_answers_it_says_how_to_look_at_its_files() -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"https://127.0.0.1:{nobody.getsockname()[1]}/mss"
    done = CliRunner().invoke(app, ["doctor", "--server", url, "--token", "of nobody", "--insecure"])
    assert done.exit_code != 0
    assert "hostward doctor --data-dir DIR" in str(getattr(done.exception, "remedy", done.output))


@pytest.mark.feature("R18")
@pytest.mark.feature("R31")
def test_what_a_members_database_would_meet(data_dir: Path, config: Path) -> None:
    server = ServerRegistry.open(data_dir / "server.db")
    StateStore(server, Vault.open(data_dir / "identity")).update(role=Role.SLAVE, adapter="192.0.2.99")
    server.close()
    log = data_dir / "logs" / "cassandra.log"
    log.parent.mkdir(exist_ok=True)
    log.write_text("ERROR OutOfMemory of old\nConfiguration location: here\nERROR No space left on device\n")
    config.write_text(config.read_text() + '[database]\njava = "/bin/false"\n')
    found = codes(data_dir, config)
    assert "192.0.2.99" in found["address-gone"]
    assert "/bin/false" in found["java-unusable"]
    assert "no room" in found["database-ended"]
