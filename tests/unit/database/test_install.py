"""Fetching against a real HTTP server on this machine that can continue downloads, stop in the middle, and lie."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hostward.database.install import install_lock
from hostward.database.jars import LockedJar, fetch_jars, read_lock
from hostward.database.java import find_java, probe
from hostward.domain.errors import DatabaseError


class Repository(BaseHTTPRequestHandler):
    files: dict[str, bytes]
    asked: list[tuple[str, str | None]]
    cut_short: set[str]

    def do_GET(self) -> None:
        wanted, content = self.headers["Range"], self.files.get(self.path.removeprefix("/maven/"))
        self.asked.append((self.path, wanted))
        if content is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        part = content[start:]
        if self.path in self.cut_short:
            self.cut_short.remove(self.path)
            part = part[: len(part) // 2]
            self.close_connection = True
        self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def repository() -> Iterator[tuple[str, type[Repository]]]:
    handler = type("OneRepository", (Repository,), {"files": {}, "asked": [], "cut_short": set()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/maven/", handler
    server.shutdown()
    thread.join()
    server.server_close()


def put(handler: type[Repository], path: str, content: bytes) -> LockedJar:
    handler.files[path] = content
    return LockedJar(path, hashlib.sha256(content).hexdigest(), len(content))


def quiet(done: int, total: int, what: str) -> None: ...


def test_the_committed_lock_is_whole() -> None:
    jars = read_lock()
    assert len({jar.name for jar in jars}) == len(jars) > 90
    assert [jar.path for jar in jars] == sorted(jar.path for jar in jars)
    assert all(len(jar.sha256) == 64 and jar.size > 0 and "://" not in jar.path for jar in jars)
    assert any(jar.name.startswith("cassandra-all-5.0.") for jar in jars)
    assert any(jar.name.startswith("jolokia-agent-jvm-") for jar in jars)


@pytest.mark.feature("R25")
def test_jars_are_fetched_once_with_progress(repository: tuple[str, type[Repository]], tmp_path: Path) -> None:
    url, handler = repository
    jars = tuple(put(handler, f"org/a/{n}/a-{n}.jar", bytes([n]) * 100_000) for n in range(12))
    seen: list[tuple[int, int]] = []
    fetch_jars(jars, tmp_path / "jars", url, lambda done, total, what: seen.append((done, total)))
    assert {path.name for path in (tmp_path / "jars").iterdir()} == {jar.name for jar in jars}
    assert seen[-1] == (1_200_000, 1_200_000)
    asked = len(handler.asked)
    fetch_jars(jars, tmp_path / "jars", url, quiet)
    assert len(handler.asked) == asked == 12


@pytest.mark.feature("R25")
def test_a_broken_download_is_continued(repository: tuple[str, type[Repository]], tmp_path: Path) -> None:
    url, handler = repository
    jar = put(handler, "org/a/1/a-1.jar", bytes(range(256)) * 1000)
    handler.cut_short.add("/maven/org/a/1/a-1.jar")
    seen: list[int] = []
    fetch_jars((jar,), tmp_path, url, lambda done, total, what: seen.append(done))
    first, second = (wanted for _, wanted in handler.asked)
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 128_000
    assert (tmp_path / "a-1.jar").read_bytes() == handler.files[jar.path]
    assert seen[-1] == jar.size


def test_a_part_of_something_else_is_fetched_anew(repository: tuple[str, type[Repository]], tmp_path: Path) -> None:
    url, handler = repository
    jar = put(handler, "org/a/1/a-1.jar", b"good" * 1000)
    (tmp_path / "a-1.jar.part").write_bytes(b"bad!" * 500)
    (tmp_path / "a-1.jar").write_bytes(b"bad!" * 1000)
    fetch_jars((jar,), tmp_path, url, quiet)
    assert (tmp_path / "a-1.jar").read_bytes() == b"good" * 1000


@pytest.mark.parametrize("content", [b"other contents", b"good and then much more than was locked"])
def test_a_changed_jar_is_refused(repository: tuple[str, type[Repository]], tmp_path: Path, content: bytes) -> None:
    url, handler = repository
    jar = put(handler, "org/a/1/a-1.jar", b"good" + bytes(10))
    handler.files[jar.path] = content
    with pytest.raises(DatabaseError) as refused:
        fetch_jars((jar,), tmp_path, url, quiet)
    assert refused.value.code in ("bad-checksum", "no-network")
    assert not (tmp_path / "a-1.jar").exists()


def test_a_repository_that_is_not_there_is_told_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatabaseError) as refused:
        fetch_jars(read_lock()[:1], tmp_path, "http://127.0.0.1:9/maven", quiet)
    assert refused.value.code == "no-network"
    assert "maven_repository" in refused.value.remedy


def fake_java(directory: Path, version: str) -> Path:
    path = directory / "bin" / "java"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(("version", "major"), [("17.0.9", 17), ("21", 21), ("1.8.0_392", 8), ("25-ea", 25)])
def test_a_java_tells_its_version(tmp_path: Path, version: str, major: int) -> None:
    java = probe(fake_java(tmp_path, version))
    assert java is not None
    assert java.major == major
    assert probe(tmp_path / "no-java") is None


@pytest.mark.feature("R25")
def test_only_17_and_21_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "25"))
    monkeypatch.setenv("PATH", str(tmp_path / "21" / "bin") + ":/usr/bin:/bin")
    new = fake_java(tmp_path / "25", "25.0.1")
    fitting = fake_java(tmp_path / "21", "21.0.8")
    found = find_java(None, tmp_path)
    assert found is not None
    assert found.path == fitting
    assert find_java(fitting, tmp_path) == found
    with pytest.raises(DatabaseError) as refused:
        find_java(new, tmp_path)
    assert refused.value.code == "wrong-java"
    with pytest.raises(DatabaseError) as refused:
        find_java(tmp_path / "none", tmp_path)
    assert refused.value.code == "no-java"


def test_only_one_installs_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []
    entered = threading.Event()

    def second() -> None:
        entered.set()
        with install_lock(tmp_path):
            order.append("second")

    with install_lock(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_runtime_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DatabaseError) as refused, install_lock(tmp_path / "file" / "runtime"):
        pass
    assert refused.value.code == "unwritable"
    assert "runtime_dir" in refused.value.remedy
