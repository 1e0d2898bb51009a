"""Packages of a group, without a JVM: their files go from server to server by themselves, and users are served on
every one, whatever becomes of a file, a server or a copy."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tests.cluster.test_people import TOLD_WITHIN_S, login, made
from tests.support.command import hostward
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually
from tests.support.zips import large, zipped

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R15")]

COPIED_WITHIN_S = 60.0
MIB = 1 << 20


@pytest.fixture(autouse=True)
def as_before(light: LightGroup) -> Iterator[None]:
    """Whatever a test has left: no packages, no limit, all servers running."""
    yield
    light.mend()
    light.wait_writable()
    for package in light.master.api.get("packages")["items"]:
        light.master.api.delete(f"packages/{package['id']}", confirm="true")
    light.wait_equal(TOLD_WITHIN_S)
    for server in light.servers:
        server.api.patch("settings", {"package-bandwidth": 0})
        for file in folder(server).glob("*.zip"):
            file.unlink(missing_ok=True)


def upload(server: Server, name: str, content: bytes | Path, **about: str) -> Any:
    """Its answer; from a file piece by piece."""
    headers = {"Content-Type": "application/zip", "Authorization": f"Bearer {server.api.token()}"}
    with httpx.Client(verify=False, trust_env=False, timeout=120) as client:
        body = content if isinstance(content, bytes) else content.open("rb")
        url = f"{server.api.url}/api/v1/packages"
        answer = client.post(url, params={"name": name, **about}, content=body, headers=headers)
        if not isinstance(body, bytes):
            body.close()
    assert answer.status_code in (200, 201, 202), answer.text
    return answer.json()


def folder(server: Server) -> Path:
    return server.data_dir / "deploy" / "packages"


def files(server: Server) -> dict[str, bytes]:
    """The .zip files in a server's folder, by name: their SHA-256."""
    return {p.name: hashlib.sha256(p.read_bytes()).digest() for p in sorted(folder(server).glob("*.zip"))}


def file_of(server: Server, package: Any) -> bytes:
    """Its SHA-256."""
    return files(server)[package["file_name"]]


def states(server: Server, package: str) -> list[str]:
    """Of each server of the group, as this one tells it."""
    items = server.api.get("packages/servers")["items"]
    return [s["packages"].get(package, {"state": "unknown"})["state"] for s in items]


def wait_present(light: LightGroup, package: str) -> None:
    eventually(lambda: states(light.master, package) == ["present"] * 3, within_s=COPIED_WITHIN_S)


def assign(light: LightGroup, package: str, user: str) -> None:
    light.master.api.post("assignments", {"to": [{"kind": "user", "name": user}], "packages": [package]})
    light.wait_equal(TOLD_WITHIN_S)


@contextmanager
def gate_shut(server: Server) -> Iterator[None]:
    """The other servers don't reach it."""
    assert server.gate is not None
    server.gate.shut()
    try:
        yield
    finally:
        server.gate.open()


def test_a_package_reaches_every_server_and_its_users_by_itself(light: LightGroup) -> None:
    """The guide's proof, 5.13.8, step 4, with nothing copied by hand: upload, update and delete alike."""
    made(light, "pia")
    first, second = zipped(setup_msi=b"version 1" * 1000), zipped(setup_msi=b"version 2" * 1000)
    package = upload(light.master, "Claims client", first, version="1")["package"]
    assign(light, "Claims client", "pia")
    wait_present(light, package["id"])
    assert files(light.slaves[0]) == files(light.slaves[1]) == files(light.master)
    with login(light.slaves[1], "pia") as pia:
        assert [p["version"] for p in pia.get("me/packages").json()["items"]] == ["1"]
        assert pia.get(f"me/packages/{package['id']}/file").content == first
        updated = upload(light.master, "claims CLIENT", second, version="2")["package"]
        light.wait_equal(TOLD_WITHIN_S)
        assert pia.get(f"me/packages/{package['id']}/file").content == second, "also before the copy is there"
        wait_present(light, package["id"])
        eventually(lambda: set(files(light.slaves[1])) == {updated["file_name"]}, within_s=COPIED_WITHIN_S)
        light.master.api.delete(f"packages/{package['id']}", confirm="true")
        for server in light.servers:
            eventually(lambda s=server: files(s) == {}, within_s=COPIED_WITHIN_S)  # type: ignore[misc]
        assert pia.get(f"me/packages/{package['id']}/file").status_code == 404


@pytest.mark.feature("F15")
def test_copying_by_hand_as_the_guide_says_leaves_every_user_served(light: LightGroup) -> None:
    """5.13.8, steps 2 and 3: delete all .zip files on the Slave, and copy the Master's. What is broken on the way is
    named and replaced; what is the Master's is adopted, whatever its name."""
    slave = light.slaves[0]
    made(light, "quin")
    contents = {name: zipped(setup_msi=name.encode() * 5000) for name in ("One", "Two", "Three")}
    packages = {name: upload(light.master, name, content)["package"] for name, content in contents.items()}
    for name, package in packages.items():
        assign(light, name, "quin")
        wait_present(light, package["id"])

    def served(user: httpx.Client) -> None:
        for name, package in packages.items():
            assert user.get(f"me/packages/{package['id']}/file").content == contents[name]

    with login(slave, "quin") as quin:
        for file in folder(slave).glob("*.zip"):
            file.unlink()
            served(quin)
        for file in folder(light.master).glob("*.zip"):
            shutil.copyfile(file, folder(slave) / file.name)
            served(quin)
        one = folder(slave) / packages["One"]["file_name"]
        one.write_bytes(one.read_bytes()[:-1] + b"?")
        served(quin)
        (folder(slave) / packages["Two"]["file_name"]).rename(folder(slave) / "renamed by hand.zip")
        served(quin)
        (folder(slave) / "of nobody.zip").write_bytes(b"MZ")
        wait_present(light, packages["One"]["id"])
        wait_present(light, packages["Two"]["id"])
        expected = {p["file_name"] for p in packages.values()}
        eventually(lambda: set(files(slave)) == expected | {"of nobody.zip"}, within_s=COPIED_WITHIN_S)
        assert {n: h for n, h in files(slave).items() if n in expected} == files(light.master)

        def told() -> bool:
            servers = {s["name"]: s for s in light.master.api.get("packages/servers")["items"]}
            return list(servers[slave.name]["strays"]) == ["of nobody.zip"]

        eventually(told, within_s=COPIED_WITHIN_S)
        served(quin)


@pytest.mark.feature("F15")
def test_a_copy_survives_kills_of_both_sides_and_comes_from_whoever_has_it(light: LightGroup, tmp_path: Path) -> None:
    big = tmp_path / "big.zip"
    large(big, 150 * MIB)
    master, slow, other = light.master, light.slaves[0], light.slaves[1]
    slow.api.patch("settings", {"package-bandwidth": 100})
    package = upload(master, "Big", big)["package"]
    part = folder(slow) / ".incoming" / f"{package['sha256']}.part"

    def some(size: int) -> bool:
        return part.exists() and part.stat().st_size >= size

    eventually(lambda: some(16 * MIB), within_s=COPIED_WITHIN_S)
    slow.kill()
    there = part.stat().st_size
    slow.start()
    slow.api.patch("settings", {"package-bandwidth": 100})
    eventually(lambda: some(there), within_s=COPIED_WITHIN_S)
    assert part.stat().st_size >= there, "it goes on where it stopped"
    eventually(lambda: states(slow, package["id"])[0] == "copying", within_s=TOLD_WITHIN_S)
    eventually(lambda: "present" in states(other, package["id"])[:1], within_s=COPIED_WITHIN_S)
    master.kill()
    slow.api.patch("settings", {"package-bandwidth": 0})
    eventually(lambda: states(slow, package["id"])[0] == "present", within_s=COPIED_WITHIN_S)
    assert file_of(slow, package) == file_of(other, package)
    (folder(master) / package["file_name"]).unlink()
    master.start()
    light.wait_writable()
    wait_present(light, package["id"])
    assert file_of(master, package) == file_of(slow, package)


@pytest.mark.feature("F15")
def test_a_slow_server_does_not_hold_a_copy_up_where_another_has_the_file_too(
    light: LightGroup, tmp_path: Path
) -> None:
    """It answers each time, so it isn't passed over for being silent: a bad link, or a server that lies."""
    big = tmp_path / "big.zip"
    large(big, 20 * MIB, seed=4)
    master, slow, other = light.master, light.slaves[0], light.slaves[1]
    other.kill()
    package = upload(master, "Slowly", big)["package"]
    eventually(lambda: states(slow, package["id"])[0] == "present", within_s=COPIED_WITHIN_S)
    gate = slow.gate
    assert gate is not None
    gate.bytes_per_s = (64 << 10) / 5
    try:
        with gate_shut(master):
            other.start()
            eventually(lambda: states(other, package["id"])[0] == "copying", within_s=COPIED_WITHIN_S)
        eventually(lambda: states(other, package["id"])[0] == "present", within_s=COPIED_WITHIN_S)
        assert file_of(other, package) == file_of(master, package)
    finally:
        gate.bytes_per_s = None


@pytest.mark.feature("F15")
def test_updates_under_downloads_give_each_user_the_one_or_the_other_whole(light: LightGroup) -> None:
    made(light, "rosa")
    contents = [zipped(setup_msi=random.Random(n).randbytes(3 * MIB)) for n in range(4)]
    hashes = {hashlib.sha256(c).hexdigest() for c in contents}
    package = upload(light.master, "Changing", contents[0])["package"]
    assign(light, "Changing", "rosa")
    seen: set[str] = set()
    with login(light.slaves[0], "rosa") as rosa:
        for content in contents[1:]:
            upload(light.master, "Changing", content)
            for _ in range(6):
                answer = rosa.get(f"me/packages/{package['id']}/file")
                assert answer.status_code == 200, answer.text
                found = hashlib.sha256(answer.content).hexdigest()
                assert answer.headers["etag"] == f'"sha256:{found}"'
                seen.add(found)
        light.wait_equal(TOLD_WITHIN_S)
        last = rosa.get(f"me/packages/{package['id']}/file").content
    assert last == contents[-1]
    assert seen <= hashes


def test_what_a_slave_uploads_waits_for_an_administrator_and_then_comes_from_there(light: LightGroup) -> None:
    slave, content = light.slaves[0], zipped(setup_msi=b"from a Slave" * 1000)
    answer = upload(slave, "From a Slave", content)
    request = answer["request"]["id"]

    def waiting() -> bool:
        found = light.master.api.get(f"change-requests/{request}")
        return bool(found["state"] == "waiting" and found["class"] == "security")

    eventually(waiting, within_s=TOLD_WITHIN_S)
    assert light.master.api.get("packages")["total"] == 0
    light.master.api.post(f"change-requests/{request}/implement")
    (package,) = light.master.api.get("packages")["items"]
    wait_present(light, package["id"])
    assert file_of(light.master, package) == file_of(slave, package)


def test_where_no_server_with_the_file_is_reached_the_user_is_told_and_gets_nothing_half(
    light: LightGroup, tmp_path: Path
) -> None:
    made(light, "saul")
    slave, other = light.slaves[0], light.slaves[1]
    slave.api.patch("settings", {"package-bandwidth": 1})
    other.api.patch("settings", {"package-bandwidth": 1})
    big = tmp_path / "big.zip"
    large(big, 30 * MIB, seed=2)
    package = upload(light.master, "Far away", big)["package"]
    assign(light, "Far away", "saul")
    with login(slave, "saul") as saul:
        with gate_shut(light.master):
            refused = saul.get(f"me/packages/{package['id']}/file")
            assert (refused.status_code, refused.json()["code"]) == (503, "package-not-here")
            assert refused.json()["remedy"]
        for server in (slave, other):
            server.api.patch("settings", {"package-bandwidth": 0})
        got = eventually(lambda: saul.get(f"me/packages/{package['id']}/file").content, within_s=COPIED_WITHIN_S)
        assert hashlib.sha256(got).hexdigest() == package["sha256"]


def test_memory_stays_flat_whatever_the_size(light: LightGroup, tmp_path: Path) -> None:
    size = 600 * MIB
    big = tmp_path / "big.zip"
    large(big, size, seed=3)
    before = {s.name: psutil.Process(s.pid).memory_info().rss for s in light.servers}
    package = upload(light.master, "Huge", big)["package"]
    most = dict.fromkeys(before, 0)

    def present() -> bool:
        for server in light.servers:
            most[server.name] = max(most[server.name], psutil.Process(server.pid).memory_info().rss)
        return states(light.master, package["id"]) == ["present"] * 3

    eventually(present, within_s=120.0, every_s=0.1)
    for name, start in before.items():
        assert most[name] - start < 150 * MIB, (name, (most[name] - start) // MIB)
    assert file_of(light.slaves[0], package) == file_of(light.master, package)


def test_everything_about_packages_by_the_command_line(light: LightGroup, tmp_path: Path) -> None:
    made(light, "tess")
    content = zipped(setup_msi=b"installs" * 100)
    file = tmp_path / "Payroll.zip"
    file.write_bytes(content)

    def run(*arguments: str, code: int = 0) -> str:
        done = hostward(*arguments, on=light.master, home=tmp_path)
        assert done.returncode == code, (arguments, done.stdout, done.stderr)
        return done.stdout + done.stderr

    assert "Uploaded “Payroll”" in run("package", "upload", str(file), "--version", "1", "--description", "Pays.")
    assert "Updated “Payroll”" in run("package", "upload", str(file), "--name", "PAYROLL", "--version", "2")
    (package,) = light.master.api.get("packages")["items"]
    wait_present(light, package["id"])
    assert "Payroll" in run("package", "list", "pay")
    shown = run("package", "show", "payroll")
    assert package["sha256"] in shown
    assert shown.count("present") == 3
    assert "server2" in run("package", "servers")
    assert "Changed “Wages”" in run("package", "edit", "payroll", "--name", "Wages")
    run("package", "download", "wages", str(tmp_path / "copy.zip"))
    assert (tmp_path / "copy.zip").read_bytes() == content
    assert "1 assignments" in run("access", "allow", "--package", "wages", "--user", "tess")
    assert "package Wages" in run("access", "list", "--package", "wages")
    assert "tess may use “Wages”" in run("access", "why", "tess", "--package", "wages")
    run("my", "package", "Wages", str(tmp_path / "mine.zip"))
    assert (tmp_path / "mine.zip").read_bytes() == content
    (tmp_path / "wrong.zip").write_bytes(b"MZ")
    assert "no .zip file" in run("package", "upload", str(tmp_path / "wrong.zip"), code=1)
    assert "Deleted “Wages”" in run("package", "delete", "wages", "--yes")
    assert "There is no package" in run("package", "show", "wages", code=1)
    assert os.listdir(folder(light.master) / ".incoming") == []
