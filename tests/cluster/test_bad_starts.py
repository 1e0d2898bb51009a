"""Starts that can't succeed: each ends at once, says what is wrong and what to do, and loses nothing."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.api import Refused
from tests.support.inventory import rows
from tests.support.server import HTTPS_PORT, Server

pytestmark = pytest.mark.cluster

ENDS_WITHIN_S = 60.0
PAGE_BYTES = 4096


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    one = Server("alone", tmp_path)
    yield one
    one.destroy()


def fails_to_start(server: Server) -> str:
    """What it says when it ends; that it ends, and not with success."""
    before = len(server.output())
    server.start(wait=False)
    assert server.wait_ended(ENDS_WITHIN_S) not in (0, None)
    said = server.output()[before:]
    assert "Traceback" not in said, said
    return " ".join(said.split())


@pytest.mark.feature("R1")
def test_a_port_in_use(server: Server) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended are no obstacle
        taken.bind((server.address, HTTPS_PORT))
        taken.listen()
        said = fails_to_start(server)
    assert f"port {HTTPS_PORT}" in said
    assert "Choose another port in the configuration" in said
    server.start()


@pytest.mark.feature("R1")
def test_a_data_directory_that_cant_be_written(server: Server) -> None:
    server.data_dir.write_text("in the way", encoding="utf-8")
    said = fails_to_start(server)
    assert str(server.data_dir) in said
    assert "--data-dir" in said
    server.data_dir.unlink()
    server.start()


@pytest.mark.feature("R1")
def test_a_second_process_on_the_same_data_directory(server: Server, tmp_path: Path) -> None:
    server.start()
    second = Server("second", tmp_path)
    try:
        second.data_dir = server.data_dir
        said = fails_to_start(second)
    finally:
        second.destroy()
    assert f"is in use by another server (process {server.pid})" in said
    assert "a data directory of its own" in said
    assert server.api.health("live")[0] == 200


@pytest.mark.feature("R1")
@pytest.mark.parametrize("where", ["beginning", "middle"])
def test_a_damaged_registry_names_the_newest_backup_and_what_it_says_to_do_works(server: Server, where: str) -> None:
    server.start()
    for session in rows(200, prefix="Kept"):
        server.api.post("sessions", session)
    kept = server.api.export()
    backup = server.api.post("backups")["name"]
    server.api.post("sessions", rows(1, prefix="After the backup")[0])
    server.restart()  # all of it is in the file itself
    server.api.post("sessions", rows(1, prefix="Only in the log of the file")[0])
    server.kill()
    with server.group_file.open("r+b") as file:
        file.seek(0 if where == "beginning" else PAGE_BYTES)
        file.write(b"\xa5" * 8 * PAGE_BYTES)
    said = fails_to_start(server)
    assert str(server.group_file) in said
    assert f"backups/{backup}" in said
    shutil.copyfile(server.data_dir / "backups" / backup, server.group_file)
    server.start()
    assert server.api.export() == kept


@pytest.mark.feature("R1")
def test_an_unknown_configuration_key(server: Server) -> None:
    good = server.config()
    server.config_file.write_text(good.replace("https_port", "htps_port"), encoding="utf-8")
    said = fails_to_start(server)
    assert re.search(r"line 6, \[server\] htps_port", said), said
    assert re.search(r"[Dd]id you mean .?https_port", said), said
    server.config_file.write_text(good, encoding="utf-8")
    server.start()


@pytest.mark.feature("R6")
def test_a_corrupt_certificate_of_its_own(server: Server) -> None:
    server.start()
    fingerprint = server.api.get("server")["fingerprint"]
    server.stop()
    good = server.certificate_file.read_bytes()
    server.certificate_file.write_bytes(good[: len(good) // 2])
    said = fails_to_start(server)
    assert str(server.certificate_file.parent) in said
    server.certificate_file.write_bytes(good)
    server.start()
    assert server.api.get("server")["fingerprint"] == fingerprint


@pytest.mark.feature("R6")
def test_a_corrupt_certificate_of_another_server(server: Server) -> None:
    server.start()
    before = server.api.get("trusted-certificates/mss")
    for content in (b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        (server.data_dir / "certificates" / "other.cer").write_bytes(content)
        with pytest.raises(Refused) as refused:
            server.api.post("trusted-certificates/mss", {"file_name": "other.cer", "friendly_name": "other"})
        assert refused.value.status == 422
        assert refused.value.problem["remedy"]
    assert server.api.get("trusted-certificates/mss") == before
