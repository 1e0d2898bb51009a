"""x3270's profiles and PuTTY's sessions as inventories: read as they come, named where something can't be carried, and
written so that reading them again gives the same sessions."""

from __future__ import annotations

import contextlib
import io
import random
import zipfile
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.domain.strategies import inventories

from hostward.domain.changes import Body, canonical
from hostward.domain.errors import InvalidInput
from hostward.domain.inventory import Format, export_profiles, export_putty, one_file, parse, plan_import, profiles
from hostward.domain.texts import name_key

pytestmark = pytest.mark.feature("R26")

PROFILE = "! migrated 2019\nx3270.hostname: L:LU1549@warehouse2.porto.example.com:992\nx3270.model: 3278-4\n"
REGISTRY = (
    "Windows Registry Editor Version 5.00\r\n\r\n[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions]\r\n\r\n"
    "[HKEY_CURRENT_USER\\Software\\SimonTatham\\PuTTY\\Sessions\\Ledger%20G%C3%B6teborg]\r\n"
    '"Present"=dword:00000001\r\n"HostName"="ledger6.example.com"\r\n"Protocol"="telnet"\r\n'
    '"PortNumber"=dword:000003e0\r\n"TerminalType"="xterm"\r\n'
)


def zipped(**files: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def only(data: bytes) -> dict[str, Any]:
    parsed = parse(data)
    assert parsed.mistakes == []
    (session,) = parsed.sessions
    return session


@given(inventories())
def test_profiles_that_were_exported_are_the_same_sessions_again(sessions: list[Body]) -> None:
    mine = [s for s in sessions if s["type"] == "IBM 3270"]
    data = b"".join(export_profiles(mine))
    parsed = parse(data, Format.X3270)
    assert (parsed.sessions, parsed.mistakes, parsed.notes, parsed.unsaid) == (mine, [], [], {})
    if mine:
        assert parse(data).sessions == mine
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
        assert len({name_key(name) for name in names}) == len(mine)


@given(inventories())
def test_puttys_sessions_that_were_exported_are_the_same_again(sessions: list[Body]) -> None:
    mine = [s for s in sessions if s["type"] in ("VT", "SSH")]
    parsed = parse(b"".join(export_putty(mine)))
    assert (parsed.sessions, parsed.mistakes, parsed.unsaid) == (mine, [], {})


def test_names_that_differ_only_where_files_or_keys_cant_stay_apart() -> None:
    one = only(zipped(**{"a.x3270": PROFILE}))
    long = "ö" * 127
    alike = [one | {"name": name} for name in ("a:b", "a?b", "A_b", long + "x", long + "y")]
    assert parse(b"".join(export_profiles(alike))).sessions == alike
    vt = [s | {"type": "VT", "lu": "", "model": ""} for s in alike]
    assert parse(b"".join(export_putty(vt))).sessions == vt


def test_a_profile_is_read_with_its_files_name_and_its_comment() -> None:
    session = only(zipped(**{"some/dir/Warehouse_DEV_Göteborg_0022.x3270": PROFILE}))
    assert session == {
        "name": "Warehouse DEV Göteborg 0022",
        "type": "IBM 3270",
        "host": "warehouse2.porto.example.com",
        "port": 992,
        "tls": True,
        "lu": "LU1549",
        "model": "3278-4",
        "code_page": "",
        "groups": [],
        "comment": "migrated 2019",
    }


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("c3270*hostname: h", {"host": "h", "port": 23, "tls": False}),
        ("*hostname: L:[2001:db8::1]:2023\n*charset: german-euro", {"host": "2001:db8::1", "code_page": "1141"}),
        ("s3270.hostname: l:[LU@1]@h\ns3270.port: 992", {"lu": "LU@1", "host": "h", "port": 992, "tls": True}),
        ("wc3270.hostname: h\r\nwc3270.model: 4\r\nwc3270.codePage: 37\r\n", {"model": "3279-4-E", "code_page": "037"}),
        ("x3270.hostname: ho\\\nst", {"host": "host"}),
        ("! a comment \\\nx3270.hostname: no\nx3270.hostname: yes", {"host": "yes"}),
        ("x3270.hostname: A:h:23\nx3270.model: IBM-3279-2-E", {"host": "h", "model": "3279-2-E"}),
    ],
)
def test_profiles_are_read_as_the_emulators_read_them(lines: str, expected: dict[str, Any]) -> None:
    session = only(zipped(**{"a.x3270": lines}))
    assert {name: session[name] for name in expected} == expected


def test_what_a_session_has_no_place_for_is_named() -> None:
    text = "x3270.hostname: Y:N:L:h:23=other\nx3270.caFile: /x.pem\nx3270.oversize: 0x0\nx3270.keymap: mine\n"
    parsed = parse(zipped(**{"a.x3270": text}))
    said = "\n".join(note.problem for note in parsed.notes)
    assert len(parsed.sessions) == 1
    for part in ("“a.x3270”: ", "Y: isn't carried", "N: before the host", "“other”", "Not carried: caFile, keymap."):
        assert part in said
    assert "oversize" not in said
    extra = REGISTRY + '"UserName"="jdoe"\r\n"ProxyHost"="proxy"\r\n"FontName"="x"\r\n"X"=hex:01,\\\r\n  02\r\n'
    (first, second) = parse(extra.encode("utf-16")).notes
    assert "UserName (jdoe), ProxyHost (proxy), 2 settings of PuTTY itself" in first.problem
    assert first.row == 5
    assert "992 is taken for one with TLS" in second.problem


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8", "utf-8-sig"])
def test_puttys_registry_file_is_read_in_its_encodings(encoding: str) -> None:
    session = only(REGISTRY.encode(encoding))
    assert (session["name"], session["type"], session["tls"]) == ("Ledger Göteborg", "VT", True)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"telnet"', '"serial"'), "“serial” sessions can't be imported"),
        (("ledger6.example.com", ""), "host is empty"),
        (("%C3%B6", "%F6"), "isn't UTF-8"),
        (("000003e0", "0001ffff"), "no port"),
        (('"Present"=dword:00000001', "nonsense"), "is no value"),
    ],
)
def test_a_session_of_putty_with_a_mistake_is_named_and_the_others_stay(change: tuple[str, str], said: str) -> None:
    other = REGISTRY.replace("Ledger", "Other")
    parsed = parse((REGISTRY.replace(*change) + other.partition("\r\n")[2]).encode())
    assert [s["name"] for s in parsed.sessions] == ["Other Göteborg"]
    assert said in parsed.mistakes[0].problem
    assert parsed.mistakes[0].row == 5


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("README.txt", "x", "no profile"),
        ("a.x3270", b"\xff", "isn't UTF-8"),
        ("a.x3270", "x3270.model: 2", "no hostname"),
        ("a.x3270", "evil.hostname: h", "no resource"),
        ("a.x3270", "x3270.hostname: A@B@C", "no address"),
        ("a.x3270", "x" * (profiles.MAX_PROFILE_BYTES + 1), "larger than"),
        ("..x3270", "x3270.hostname: h", "name"),
    ],
)
def test_a_file_in_a_zip_with_a_mistake_is_named_and_the_others_stay(
    name: str, content: str | bytes, said: str
) -> None:
    parsed = parse(zipped(**{name: content, "good.x3270": PROFILE}), Format.X3270)
    assert [s["name"] for s in parsed.sessions] == ["good"]
    assert said in parsed.mistakes[0].problem
    assert f"“{name}”" in parsed.mistakes[0].problem


def test_bombs_are_refused_before_they_go_off(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.x3270", b"\0" * (64 << 20))
    honest = bomb.getvalue()
    assert "larger than" in parse(honest).mistakes[0].problem
    size = (64 << 20).to_bytes(4, "little")
    lying = honest.replace(size, (100).to_bytes(4, "little"))
    with pytest.raises(InvalidInput):
        parse(lying)
    monkeypatch.setattr(profiles, "MAX_UNPACKED_BYTES", 2 * len(PROFILE))
    with pytest.raises(InvalidInput, match="unpacked"):
        parse(zipped(**{f"{n}.x3270": PROFILE for n in range(3)}))
    monkeypatch.setattr(profiles, "MAX_PROFILES", 2)
    with pytest.raises(InvalidInput, match="more than 2 files"):
        parse(zipped(**{f"{n}.x3270": PROFILE for n in range(3)}))


def test_a_zip_with_a_password_or_of_another_kind_says_so() -> None:
    data = bytearray(zipped(**{"a.x3270": PROFILE}))
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    assert "encrypted" in parse(bytes(data)).mistakes[0].problem
    with pytest.raises(InvalidInput, match="Excel workbook"):
        parse(zipped(**{"[Content_Types].xml": "x", "xl/workbook.xml": "x"}))


@settings(max_examples=300)
@given(st.randoms(use_true_random=False), st.integers(1, 40))
def test_a_damaged_zip_is_refused_not_a_crash(random_: random.Random, changes: int) -> None:
    data = bytearray(zipped(**{"a.x3270": PROFILE, "b.x3270": PROFILE}))
    for _ in range(changes):
        data[random_.randrange(len(data))] = random_.randrange(256)
    with contextlib.suppress(InvalidInput):
        parsed = parse(bytes(data), Format.X3270)
        assert len(parsed.sessions) + parsed.skipped <= 2


@given(
    st.text(max_size=300)
    | st.lists(st.sampled_from(["[", "]", "\\Sessions\\", '"', "=", "dword:", "\n", "\\", ";", "%", "a"])).map("".join)
)
def test_any_text_after_puttys_first_line_is_read_or_named(text: str) -> None:
    parsed = parse((REGISTRY + text).encode(errors="replace"), Format.PUTTY)
    assert len(parsed.sessions) + parsed.skipped >= 1


def test_several_profiles_are_one_file_and_other_files_are_not() -> None:
    files = [("a.x3270", PROFILE.encode()), ("b.x3270", PROFILE.encode())]
    assert one_file(files) == one_file(files)
    assert [s["name"] for s in parse(one_file(files)).sessions] == ["a", "b"]
    assert only(one_file(files[:1]))["name"] == "a"
    assert one_file([("a.csv", b"x")]) == b"x"
    with pytest.raises(InvalidInput, match=r"“c\.csv” is no profile"):
        one_file([*files, ("c.csv", b"x")])


def test_what_an_emulators_file_doesnt_say_stays_as_it_is() -> None:
    before = only(zipped(**{"a.x3270": PROFILE})) | {"groups": ["Claims"], "comment": "ours"}
    existing = {name_key("a"): ("1", bytes(canonical(before)))}
    silent = PROFILE.replace("! migrated 2019\n", "").replace("3278-4", "3279-2")
    (put,) = plan_import(existing, parse(zipped(**{"a.x3270": silent}))).puts
    assert orjson.loads(put.body) == before | {"model": "3279-2"}
    whole = b"".join(export_profiles([before | {"groups": [], "comment": ""}]))
    (put,) = plan_import(existing, parse(whole)).puts
    assert orjson.loads(put.body) == before | {"groups": [], "comment": ""}
