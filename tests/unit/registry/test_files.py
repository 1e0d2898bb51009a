"""The files: killed at any moment, damaged, full, in use, restored."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.registry.support import content, kept, opened, session

from hostward.domain.changes import GENESIS_HASH
from hostward.domain.errors import RegistryError
from hostward.registry.content import content_of_backup, operations_to_become
from hostward.registry.lock import lock_data_dir
from hostward.registry.server import ServerRegistry

ROOT = Path(__file__).parents[3]

COMMITTING = """
import asyncio, sys
from pathlib import Path
from tests.unit.registry.support import opened, session

async def one(registry, lane):
    for n in range(10_000):
        rows = [session(f"{lane}-{n}-{k}", f"{lane} {n} {k}") for k in range(1 + 40 * (n % 3))]
        done = await registry.commit("admin", lambda _: rows)
        print(done.revision, len(rows), rows[0].id, flush=True)

async def main():
    registry = opened(Path(sys.argv[1]))
    await asyncio.gather(*(one(registry, lane) for lane in range(4)))

asyncio.run(main())
"""

FILLING = """
import asyncio, resource, sys
from pathlib import Path
from hostward.domain.errors import RegistryError
from tests.unit.registry.support import content, opened, session

async def main():
    registry = opened(Path(sys.argv[1]))
    await registry.commit("admin", lambda _: [session("1", "n1")])
    was, at = content(registry), registry.position
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, most))
    try:
        await registry.commit("admin", lambda _: [session(f"x{n}", f"x{n}", comment="c" * 900) for n in range(5000)])
    except RegistryError as error:
        print(error.code)
    assert (content(registry), registry.position) == (was, at), "something was applied"
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert (await registry.commit("admin", lambda _: [session("2", "n2")])).revision == 2
    assert registry.verify().ok
    registry.close()

asyncio.run(main())
"""


def _program(text: str, path: Path) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    return subprocess.Popen([sys.executable, "-c", text, str(path)], stdout=subprocess.PIPE, text=True, env=env)


@pytest.mark.feature("R10")
@pytest.mark.parametrize("acknowledged", [1, 23, 150])
def test_a_kill_loses_nothing_that_was_acknowledged(tmp_path: Path, acknowledged: int) -> None:
    with _program(COMMITTING, tmp_path / "group.db") as program:
        assert program.stdout is not None
        lines = [program.stdout.readline() for _ in range(acknowledged)]
        program.kill()
        lines += program.stdout.readlines()
    registry = opened(tmp_path / "group.db")
    changes = kept(registry)
    assert [c.revision for c in changes] == list(range(1, registry.position.revision + 1))
    assert [c.previous for c in changes] == [GENESIS_HASH, *(c.hash for c in changes)][: len(changes)]
    assert (changes[-1].hash, changes[-1].digest) == (registry.position.hash, registry.position.digest)
    for line in (line for line in lines if line.endswith("\n")):
        revision, count, first_id = line.split()
        operations = changes[int(revision) - 1].operations()
        assert (len(operations), operations[0].id) == (int(count), first_id)
    assert registry.verify().ok
    assert len(content(registry)) == sum(len(c.operations()) for c in changes), "a change is there whole"
    assert asyncio.run(registry.commit("admin", lambda _: [session("z", "z")])).revision == len(changes) + 1
    registry.close()


def test_a_full_disk_is_said_and_changes_nothing(tmp_path: Path) -> None:
    with _program(FILLING, tmp_path / "group.db") as program:
        said, _ = program.communicate(timeout=60)
    assert (program.returncode, said.split()) == (0, ["disk-full"])


def test_a_damaged_file_is_refused_naming_the_newest_backup(tmp_path: Path) -> None:
    registry = opened(tmp_path / "group.db")
    asyncio.run(registry.commit("admin", lambda _: [session(str(n), f"n{n}") for n in range(500)]))
    (tmp_path / "backups").mkdir()
    for at_s, name in enumerate(("older.db", "newer.db")):
        asyncio.run(registry.backup(tmp_path / "backups" / name))
        os.utime(tmp_path / "backups" / name, (at_s, at_s))
    registry.close()
    with (tmp_path / "group.db").open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(8192))
    with pytest.raises(RegistryError) as refused:
        opened(tmp_path / "group.db")
    assert refused.value.code == "registry-damaged"
    assert "newer.db" in refused.value.remedy
    (tmp_path / "group.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(RegistryError) as refused:
        opened(tmp_path / "group.db")
    assert refused.value.code == "registry-damaged"


def test_a_backup_is_whole_private_and_restored_as_a_new_change(tmp_path: Path) -> None:
    async def run() -> None:
        registry = opened(tmp_path / "group.db")
        await registry.commit("admin", lambda _: [session("1", "n1"), session("2", "n2")])
        was = content(registry)
        await registry.backup(tmp_path / "backup.db")
        assert (tmp_path / "backup.db").stat().st_mode & 0o777 == 0o600
        await registry.commit("admin", lambda _: [session("1", "changed"), session("3", "n3")])
        then = content_of_backup(tmp_path / "backup.db")
        assert then.position.revision == 1
        done = await registry.commit("admin", lambda reader: operations_to_become(reader, then, ("session",)))
        assert (done.revision, content(registry)) == (3, was)
        registry.close()

    asyncio.run(run())
    (tmp_path / "broken.db").write_bytes((tmp_path / "backup.db").read_bytes()[:1000])
    with pytest.raises(RegistryError):
        content_of_backup(tmp_path / "broken.db")


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "group.db").mkdir()
    with pytest.raises(RegistryError) as refused:
        opened(tmp_path / "group.db")
    assert refused.value.remedy


def test_one_process_a_data_directory(tmp_path: Path) -> None:
    with lock_data_dir(tmp_path):
        with pytest.raises(RegistryError) as refused, lock_data_dir(tmp_path):
            pass
        assert refused.value.code == "data-dir-in-use"
        assert str(os.getpid()) in refused.value.message
    with lock_data_dir(tmp_path):
        pass


def test_server_settings_last_and_change_together(tmp_path: Path) -> None:
    registry = ServerRegistry.open(tmp_path / "server.db")
    registry.put("role", {"role": "master"})
    registry.update(a=1, b=[1, 2])
    with pytest.raises(TypeError):
        registry.update(a=2, b=object())
    registry.delete("role")
    registry.close()
    registry = ServerRegistry.open(tmp_path / "server.db")
    assert (registry.get("role"), registry.get("a"), registry.get("b")) == (None, 1, [1, 2])
    assert (tmp_path / "server.db").stat().st_mode & 0o777 == 0o600
    registry.close()


@pytest.mark.parametrize("name", ["group.db", "server.db"])
def test_a_file_cut_to_nothing_is_not_taken_for_a_new_one(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(RegistryError) as refused:
        opened(tmp_path / name) if name == "group.db" else ServerRegistry.open(tmp_path / name)
    assert refused.value.code == "registry-damaged"
    (tmp_path / name).rename(tmp_path / f"{name}-wal")
    with pytest.raises(RegistryError) as refused:
        opened(tmp_path / name) if name == "group.db" else ServerRegistry.open(tmp_path / name)
    assert f"{name}-wal" in refused.value.message
