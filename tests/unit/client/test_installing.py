"""Packages at a desk: nothing is unpacked elsewhere, nothing half, and nothing of the user's own is removed."""

from __future__ import annotations

import hashlib
import io
import zipfile
from pathlib import Path

import pytest
from tests.support.zips import LINK, with_entry, zipped

from hostward.client.installing import Installations, Offered, unpack
from hostward.domain.errors import InvalidInput

pytestmark = pytest.mark.feature("R15")

FIRST = zipped(setup_msi=b"version 1", notes_txt=b"words")
SECOND = zipped(setup_msi=b"version 2", more_txt=b"more")


@pytest.fixture
def here(tmp_path: Path) -> Installations:
    return Installations(tmp_path / "data" / "packages", tmp_path / "state")


def offered(content: bytes, name: str = "Claims client", id_: str = "p1") -> Offered:
    return Offered(id_, name, "1", len(content), hashlib.sha256(content).hexdigest())


def downloaded(here: Installations, content: bytes, offer: Offered | None = None) -> Path:
    file = here.partial(offer or offered(content))
    file.write_bytes(content)
    return file


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_package_is_installed_upgraded_and_removed(here: Installations) -> None:
    installed, kept = here.install(offered(FIRST), downloaded(here, FIRST))
    place = Path(installed.path)
    assert (place.name, kept) == ("Claims-client", [])
    assert tree(place) == {"setup.msi": b"version 1", "notes.txt": b"words"}
    upgraded, kept = here.install(offered(SECOND), downloaded(here, SECOND))
    assert (upgraded.path, kept) == (installed.path, [])
    assert tree(place) == {"setup.msi": b"version 2", "more.txt": b"more"}
    assert here.all() == [upgraded]
    assert here.uninstall(upgraded) == []
    assert not place.exists()
    assert here.all() == []
    assert [p.name for p in place.parent.iterdir()] == []


def test_what_somebody_changed_or_added_stays(here: Installations) -> None:
    installed, _ = here.install(offered(FIRST), downloaded(here, FIRST))
    place = Path(installed.path)
    (place / "notes.txt").write_bytes(b"my own words")
    (place / "mine.txt").write_bytes(b"mine")
    upgraded, kept = here.install(offered(SECOND), downloaded(here, SECOND))
    assert [Path(k).read_bytes() for k in kept] == [b"mine", b"my own words"]
    (place / "more.txt").write_bytes(b"changed again")
    assert here.uninstall(upgraded) == [str(place / "more.txt")]
    assert tree(place) == {"more.txt": b"changed again"}


def test_another_content_than_was_said_is_not_installed(here: Installations) -> None:
    installed, _ = here.install(offered(FIRST), downloaded(here, FIRST))
    with pytest.raises(InvalidInput, match="isn't what the server says"):
        here.install(offered(SECOND), downloaded(here, FIRST, offered(SECOND)))
    assert here.all() == [installed]
    assert tree(Path(installed.path))["setup.msi"] == b"version 1"


@pytest.mark.feature("A8")
@pytest.mark.parametrize(
    "content",
    [
        with_entry("../evil"),
        with_entry("/evil"),
        with_entry("C:/evil"),
        with_entry("a/../../evil"),
        with_entry("..\\evil"),
        with_entry("link", b"/etc", mode=LINK),
        with_entry("GOOD.TXT"),
        with_entry("con"),
        b"MZ",
        FIRST[:-3],
    ],
)
def test_nothing_is_unpacked_where_anything_leads_out_or_is_broken(here: Installations, content: bytes) -> None:
    around = here.partial(offered(content)).parent.parent.parent
    with pytest.raises(InvalidInput):
        here.install(offered(content), downloaded(here, content))
    found = [p.name for p in around.rglob("*") if p.is_file() and p.suffix != ".part"]
    assert found == []
    assert here.all() == []


@pytest.mark.feature("A8")
def test_a_bomb_ends_before_it_fills_the_disk(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(200):
            file.write(bytes(1 << 20))
    bomb = tmp_path / "bomb.zip"
    bomb.write_bytes(made.getvalue())
    with pytest.raises(InvalidInput):
        unpack(bomb, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_packages_of_names_that_make_one_folder_have_their_own(here: Installations) -> None:
    one, _ = here.install(offered(FIRST, "A B", "p1"), downloaded(here, FIRST))
    two, _ = here.install(offered(SECOND, "A-B", "p2"), downloaded(here, SECOND))
    assert one.path != two.path
    assert here.uninstall(one) == []
    assert tree(Path(two.path))["setup.msi"] == b"version 2"
