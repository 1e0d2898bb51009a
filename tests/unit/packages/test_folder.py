"""The folder of packages' files: what counts as one, what is adopted, replaced, removed and left alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hostward.domain.errors import NotFound
from hostward.domain.packages import PIECE_BYTES, Content, Package
from hostward.packages.folder import Digest, Folder, Partial
from hostward.registry.server import ServerRegistry

pytestmark = pytest.mark.feature("R15")


@pytest.fixture
def values(tmp_path: Path) -> Iterator[ServerRegistry]:
    registry = ServerRegistry.open(tmp_path / "server.db")
    yield registry
    registry.close()


@pytest.fixture
def folder(tmp_path: Path, values: ServerRegistry) -> Folder:
    return Folder(tmp_path / "packages", values)


def content_of(data: bytes) -> tuple[Content, bytes]:
    digest = Digest()
    digest.add(data)
    return digest.result()


def package(data: bytes, name: str = "Claims client") -> Package:
    return Package("p1", name, "1", "", content_of(data)[0])


def put(folder: Folder, data: bytes, name: str = "Claims client") -> Package:
    """As an upload does it."""
    incoming = folder.new_upload(len(data))
    incoming.write(data)
    found = Package("p1", name, "1", "", incoming.end())
    incoming.keep(found)
    incoming.close()
    return found


def old(file: Path) -> Path:
    """It was written a minute ago."""
    os.utime(file, ns=(file.stat().st_mtime_ns - 60 * 10**9,) * 2)
    return file


def look(folder: Folder, *wanted: Package, kept: tuple[str, ...] = (), now: float = 0.0) -> dict[str, str]:
    """What it finds strange, once it has looked at what it saw before."""
    folder.look(wanted, lambda: kept, lambda: now)
    return dict(folder.look(wanted, lambda: kept, lambda: now).strays)


def names(folder: Folder) -> set[str]:
    return {p.name for p in folder.path.iterdir() if not p.name.startswith(".")}


def test_an_upload_is_there_whole_and_is_known_again_after_a_start(folder: Folder, values: ServerRegistry) -> None:
    data = b"x" * (PIECE_BYTES + 5)
    made = put(folder, data)
    assert folder.read(made.content, PIECE_BYTES - 1, 100) == b"x" * 6
    assert names(folder) == {made.file_name}
    again = Folder(folder.path, values)
    assert again.has(made.content) is not None
    assert look(again, made) == {}


def test_what_was_not_kept_leaves_nothing(folder: Folder, values: ServerRegistry) -> None:
    incoming = folder.new_upload(10)
    incoming.write(b"half")
    incoming.close()
    (folder.incoming / "upload-1").write_bytes(b"of a process that was killed")
    Folder(folder.path, values)
    assert list(folder.path.rglob("*")) == [folder.incoming]


def test_a_copied_file_is_adopted_whatever_its_name(folder: Folder) -> None:
    made, data = package(b"content"), b"content"
    assert folder.has(made.content) is None
    old_file = folder.path / "from the Master.ZIP"
    old_file.write_bytes(data)
    old(old_file)
    assert look(folder, made) == {}
    assert names(folder) == {made.file_name}
    assert folder.read(made.content, 0, 100) == data


def test_a_file_that_is_being_copied_is_waited_for(folder: Folder) -> None:
    made = package(b"content")
    (folder.path / made.file_name).write_bytes(b"contenT")
    assert "being copied" in dict(folder.look([made], tuple).strays)[made.file_name]
    (folder.path / made.file_name).write_bytes(b"content")
    assert "being copied" in dict(folder.look([made], tuple).strays)[made.file_name]
    assert folder.look([made], tuple).strays == {}, "nothing has changed since the last look"
    assert folder.has(made.content) is not None


def test_a_file_that_somebody_wrote_in_no_longer_counts_and_is_named(folder: Folder) -> None:
    made = put(folder, b"content")
    file = folder.path / made.file_name
    stat = file.stat()
    file.write_bytes(b"c0ntent")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert folder.has(made.content) is None
    with pytest.raises(NotFound):
        folder.open(made.content)
    assert "SHA-256 differs" in look(folder, made)[made.file_name]
    put(folder, b"content")
    assert look(folder, made) == {}


def test_other_files_and_links_are_named_and_left_alone(folder: Folder, tmp_path: Path) -> None:
    made = put(folder, b"content")
    other = tmp_path / "elsewhere.zip"
    other.write_bytes(b"content")
    (folder.path / "link.zip").symlink_to(old(other))
    old_file = folder.path / "old.zip"
    old_file.write_bytes(b"cont3nt")
    old(old_file)
    (folder.path / "readme.txt").write_bytes(b"of an administrator")
    for now in (0.0, 100.0, 200.0):
        assert set(look(folder, made, now=now)) == {"link.zip", "old.zip"}
    assert names(folder) == {made.file_name, "link.zip", "old.zip", "readme.txt"}


def test_an_old_file_stays_for_who_reads_it_and_goes_once_nobody_may_need_it(folder: Folder) -> None:
    first = put(folder, b"first")
    second = put(folder, b"second")
    reading = folder.open(first.content)
    with folder.holding(first.content):
        assert look(folder, second, now=0.0) == {}
        assert look(folder, second, now=100.0) == {}
        assert names(folder) == {first.file_name, second.file_name}
    assert look(folder, second, kept=(first.content.sha256,), now=200.0) == {}
    assert look(folder, second, now=300.0) == {}
    assert first.file_name in names(folder), "whoever decides may not have committed yet"
    look(folder, second, now=311.0)
    assert names(folder) == {second.file_name}
    assert reading.read() == b"first"
    reading.close()


def test_a_cut_copy_goes_on_at_its_last_good_piece(folder: Folder) -> None:
    data = bytes(range(256)) * (PIECE_BYTES * 3 // 256) + b"end"
    made, (content, hashes) = package(data), content_of(data)
    pieces = [data[at : at + PIECE_BYTES] for at in range(0, len(data), PIECE_BYTES)]
    first = Partial(folder, content, hashes)
    first.add(pieces[0])
    first.add(pieces[1])
    with pytest.raises(ValueError, match="isn't what"):
        first.add(pieces[2][:-1] + b"?")
    first.close()
    with (folder.incoming / f"{content.sha256}.part").open("r+b") as file:
        file.seek(PIECE_BYTES + 7)
        file.write(b"damaged")
    again = Partial(folder, content, hashes)
    assert again.size == PIECE_BYTES
    for piece in pieces[1:]:
        again.add(piece)
    assert again.next_size == 0
    again.keep(made)
    assert folder.read(content, 0, len(data)) == data
    assert list(folder.incoming.iterdir()) == []
    with pytest.raises(ValueError, match="sums"):
        Partial(folder, content, hashes[:-1] + b"?")


def test_two_names_that_make_the_same_file_name_have_their_own_files(folder: Folder) -> None:
    one, two = put(folder, b"one", "A:B"), put(folder, b"two", "A?B")
    assert one.file_name != two.file_name
    assert folder.read(one.content, 0, 9) == b"one"
    assert folder.read(two.content, 0, 9) == b"two"
