"""What a package's .zip may hold."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from tests.support.zips import LINK, with_entry, zipped

from hostward.domain.archives import FREE_BYTES, MAX_ENTRIES
from hostward.domain.errors import InvalidInput
from hostward.packages.archive import look_into

pytestmark = [pytest.mark.feature("R15"), pytest.mark.feature("A8")]


def looked(tmp_path: Path, content: bytes) -> str:
    """Why it is refused; empty where it isn't."""
    file = tmp_path / "package.zip"
    file.write_bytes(content)
    try:
        look_into(file)
    except InvalidInput as error:
        found = error
    else:
        return ""
    assert found.remedy
    assert found.mistakes
    return found.message


def test_a_good_one_is_looked_into(tmp_path: Path) -> None:
    file = tmp_path / "package.zip"
    file.write_bytes(zipped(setup_msi=b"installs", readme_txt=b"words" * 1000))
    found = look_into(file)
    assert (found.entries, found.unpacked_bytes, list(found.installers)) == (2, 5008, ["setup.msi"])


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../evil.exe", "leads out"),
        ("a/../../evil.exe", "leads out"),
        ("/etc/passwd", "leads out"),
        ("a//b", "leads out"),
        ("./a", "leads out"),
        ("C:/evil.exe", "a character"),
        ("..\\evil.exe", "a character"),
        ("a\nb", "a character"),
        ("file.txt:stream", "a character"),
        ("con", "Windows"),
        ("a/NUL.txt", "Windows"),
        ("ends.", "Windows"),
        ("GOOD.TXT", "the same name"),
        ("good.txt/b", "what is a file"),
    ],
)
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, why: str) -> None:
    assert why in looked(tmp_path, with_entry(name))


def test_links_devices_and_encrypted_entries_are_refused(tmp_path: Path) -> None:
    assert "link" in looked(tmp_path, with_entry("link", b"/etc/passwd", mode=LINK))
    assert "device" in looked(tmp_path, with_entry("device", mode=0o020666))
    assert "encrypted" in looked(tmp_path, with_entry("secret", flags=1))
    assert looked(tmp_path, with_entry("fine", mode=0o100755)) == ""


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("zeros", "w") as file:
        for _ in range(2 * FREE_BYTES >> 20):
            file.write(bytes(1 << 20))
    assert "Unpacked" in looked(tmp_path, made.getvalue())
    lies = made.getvalue().replace((2 * FREE_BYTES).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    assert "can't be unpacked" in looked(tmp_path, lies)


def test_too_many_entries_are_refused_before_their_list_is_read(tmp_path: Path) -> None:
    raw = zipped(a_txt=b"a")
    at = raw.rindex(b"PK\x05\x06")
    huge = raw[: at + 12] + (1 << 30).to_bytes(4, "little") + raw[at + 16 :]
    assert "entries" in looked(tmp_path, huge)
    assert MAX_ENTRIES > 0xFFFF, "else the count alone would do"


def test_what_is_cut_altered_or_no_zip_is_refused(tmp_path: Path) -> None:
    good = zipped(setup_msi=bytes(range(256)) * 100)
    assert looked(tmp_path, good) == ""
    for wrong in (b"", b"MZ not a zip", good[:-1], good[: len(good) // 2], good[100:]):
        assert "can't be used" in looked(tmp_path, wrong)
    for at in range(60, 90):
        assert "can't be used" in looked(tmp_path, good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
    assert "no file" in looked(tmp_path, zipped())
