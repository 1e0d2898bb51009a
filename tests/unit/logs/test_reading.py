"""Reading a log and its rotated files from either end."""

from __future__ import annotations

import json
import os
import tracemalloc
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import InvalidInput, NotFound
from hostward.domain.log_lines import LogEntry, Wanted, database_line, own_line
from hostward.logs import reading
from hostward.logs.reading import DATABASE, OWN, Log, Page, later, log_of, newest, whole

pytestmark = pytest.mark.feature("R24")

ALL = Wanted()


def line(event: str, level: str = "info", **about: Any) -> str:
    return json.dumps({"event": event, "level": level, "timestamp": "2026-03-01T00:00:00.000001Z", **about}) + "\n"


def write(data_dir: Path, text: str, *, number: int = 0, log: Log = OWN) -> None:
    path = log.path(data_dir)
    path.parent.mkdir(exist_ok=True)
    with (path.with_name(f"{path.name}.{number}") if number else path).open("a", encoding="utf-8") as file:
        file.write(text)


def rotate(data_dir: Path) -> None:
    path = OWN.path(data_dir)
    for number in range(8, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))


def events(entries: Sequence[LogEntry]) -> list[str]:
    return [e.event for e in entries]


def every(data_dir: Path, count: int, wanted: Wanted = ALL, log: Log = OWN) -> list[str]:
    """Page by page, from the newest on."""
    found: list[str] = []
    before = ""
    while True:
        page = newest(data_dir, log, wanted, before=before, count=count)
        found += events(page.items)
        before = page.next
        if not before:
            return found


def test_pages_lead_through_all_files_each_entry_once(tmp_path: Path) -> None:
    wide = "x" * (reading.BLOCK_BYTES - 100)  # an entry begins in one block and ends in another
    names = [f"e{n}" for n in range(300)]
    for number, some in ((2, names[:100]), (1, names[100:130]), (0, names[130:])):
        write(
            tmp_path, "".join(line(n, wide=wide if n in ("e50", "e140", "e141") else "") for n in some), number=number
        )
    for count in (1, 7, 100, 500):
        assert every(tmp_path, count) == names[::-1], count


@given(st.lists(st.integers(0, 3000), min_size=1, max_size=60), st.integers(1, 7))
def test_entries_of_any_length_are_read_the_same_from_both_ends(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], count: int
) -> None:
    data_dir = tmp_path_factory.mktemp("log")
    write(data_dir, "".join(line(f"e{n}", text="ü" * size) for n, size in enumerate(lengths)))
    names = [f"e{n}" for n in range(len(lengths))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "BLOCK_BYTES", 1024)
        assert every(data_dir, count) == names[::-1]
    followed: list[str] = []
    page = later(data_dir, OWN, ALL, after=reading.NOWHERE, count=count)
    while page.items:
        followed += events(page.items)[::-1]
        page = later(data_dir, OWN, ALL, after=page.since, count=count)
    assert followed == names


def test_a_rotation_between_two_pages_loses_and_repeats_nothing(tmp_path: Path) -> None:
    write(tmp_path, "".join(line(f"e{n}") for n in range(10)))
    first = newest(tmp_path, OWN, ALL, count=4)
    write(tmp_path, line("e10"))
    rotate(tmp_path)
    write(tmp_path, line("e11"))
    rest = newest(tmp_path, OWN, ALL, before=first.next, count=100)
    assert events(first.items + rest.items) == [f"e{n}" for n in range(9, -1, -1)]


def test_what_comes_later_is_followed_through_rotations_and_removals(tmp_path: Path) -> None:
    write(tmp_path, line("old"))
    since = newest(tmp_path, OWN, ALL, count=10).since
    assert later(tmp_path, OWN, ALL, after=since, count=10) == Page([], "", since)
    write(tmp_path, line("e1"))
    rotate(tmp_path)
    write(tmp_path, line("e2") + line("e3") + line("e4"))
    page = later(tmp_path, OWN, ALL, after=since, count=2)
    assert events(page.items) == ["e2", "e1"]
    page = later(tmp_path, OWN, ALL, after=page.since, count=10)
    assert events(page.items) == ["e4", "e3"]
    OWN.path(tmp_path).unlink()  # what was read last is gone: it goes on with the oldest that is there
    assert events(later(tmp_path, OWN, ALL, after=page.since, count=10).items) == ["e1", "old"]


def test_following_begins_before_there_is_anything(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    empty = newest(tmp_path, OWN, ALL, count=10)
    assert empty == Page([], "", reading.NOWHERE)
    write(tmp_path, line("first"))
    assert events(later(tmp_path, OWN, ALL, after=empty.since, count=10).items) == ["first"]


def test_a_line_that_is_being_written_waits_until_it_is_whole(tmp_path: Path) -> None:
    whole_line = line("second")
    write(tmp_path, line("first") + whole_line[:30])
    page = newest(tmp_path, OWN, ALL, count=10)
    assert events(page.items) == ["first"]
    write(tmp_path, whole_line[30:])
    assert events(later(tmp_path, OWN, ALL, after=page.since, count=10).items) == ["second"]


@pytest.mark.parametrize("much", [reading.MAX_LINE_BYTES + 1, 2 * reading.LOOK_BYTES + 1])
def test_a_line_of_any_length_is_followed_in_little_memory(tmp_path: Path, much: int) -> None:
    write(tmp_path, line("first") + line("long", text="x" * much) + line("last"))
    found: list[str] = []
    after, peak = reading.NOWHERE, 0
    while "last" not in found:
        tracemalloc.start()
        page = later(tmp_path, OWN, ALL, after=after, count=10)
        peak = max(peak, tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert page.since != after
        found, after = found + events(page.items)[::-1], page.since
    assert found == ["first", "last"], "what is no whole entry belongs to the one before"
    assert peak < 16 * reading.MAX_LINE_BYTES


def test_a_log_that_is_cut_off_while_it_is_followed_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, line("first") + line("second"))
    path, end_of = OWN.path(tmp_path), reading._end_of

    def cut_off(file: BinaryIO) -> int:
        end = end_of(file)
        os.truncate(path, len(line("first")))
        return end

    monkeypatch.setattr(reading, "_end_of", cut_off)
    assert events(later(tmp_path, OWN, ALL, after=reading.NOWHERE, count=10).items) == ["first"]


def test_level_and_words_say_what_is_shown(tmp_path: Path) -> None:
    write(
        tmp_path,
        line("started", version="1.0")
        + line("peer-refused", "warning", server="North", about={"reason": "certificate"})
        + line("asked", "debug")
        + line("broken", "critical", exception="Traceback\n  File x.py\nValueError: North"),
    )
    for level, text, expected in (
        ("", "", ["broken", "asked", "peer-refused", "started"]),
        ("error", "", ["broken"]),
        ("warning", "", ["broken", "peer-refused"]),
        ("info", "", ["broken", "peer-refused", "started"]),
        ("", "north", ["broken", "peer-refused"]),
        ("", "CERT north", ["peer-refused"]),
        ("", "version=1.0", ["started"]),
        ("error", "started", []),
    ):
        assert every(tmp_path, 50, Wanted.of(level, text)) == expected, (level, text)


def test_what_is_not_found_in_much_leads_on_and_is_found(tmp_path: Path) -> None:
    write(tmp_path, line("needle"))
    write(tmp_path, line("hay", text="x" * 4000) * (reading.LOOK_BYTES // 4000 + 10))
    wanted = Wanted.of("", "needle")
    first = newest(tmp_path, OWN, wanted, count=10)
    assert first.items == []
    assert first.next
    assert events(newest(tmp_path, OWN, wanted, before=first.next, count=10).items) == ["needle"]


BELOW = "\tat a.b.C.d(C.java:1)\n"
MUCH = reading.LOOK_BYTES


@pytest.mark.parametrize(
    "much",
    [
        (BELOW + "x" * 4000 + "\n") * (2 * MUCH // 4000),
        (" " * 4000 + "\n") * (MUCH // 4000 + 10),
        BELOW + "x" * (2 * MUCH) + "\n",
        BELOW + "x" * (MUCH + 10) + "\n" + BELOW,
        ("x" * (MUCH - 10) + "\n") * 2,
    ],
    ids=["a long trace", "blank lines", "a long line", "a long line among others", "two long lines"],
)
def test_older_entries_are_reached_however_much_that_is_none_lies_between(tmp_path: Path, much: str) -> None:
    begins = "2026-03-01 10:00:00,123 INFO  [main] A: "
    write(tmp_path, f"{begins}oldest\n", number=1, log=DATABASE)
    write(tmp_path, f"{begins}older\n{much}{begins}newest\n", log=DATABASE)
    assert every(tmp_path, 10, log=DATABASE) == ["A: newest", "A: older", "A: oldest"]


def test_a_file_in_the_middle_of_an_entry_is_shown_also_where_it_is_all_that_is_read_for_a_page(tmp_path: Path) -> None:
    begins = "2026-03-01 10:00:00,123 INFO  [main] A: "
    write(tmp_path, f"{begins}oldest\n", number=1, log=DATABASE)
    write(tmp_path, BELOW + "x" * (MUCH - len(BELOW) - 1) + "\n", log=DATABASE)
    assert every(tmp_path, 10, log=DATABASE) == ["\\tat a.b.C.d(C.java:1)", "A: oldest"]


def test_of_the_database_what_comes_below_belongs_to_its_entry(tmp_path: Path) -> None:
    text = (
        "2026-03-01 10:00:00,123 INFO  [main] Server: Startup complete\n"
        "2026-03-01 10:00:01,000 WARN  [GossipTasks:1] Gossiper: a\n"
        "2026-03-01 10:00:02,456 ERROR [Stage-1] Stage: Exception\n"
        "java.io.IOException: No space left on device\n"
        "\tat a.b.C.d(C.java:1)\n"
    )
    write(tmp_path, text, log=DATABASE)
    page = newest(tmp_path, DATABASE, ALL, count=10)
    assert [e.level for e in page.items] == ["error", "warning", "info"]
    error = page.items[0]
    assert error.event == "Stage: Exception"
    assert error.about == {"thread": "Stage-1"}
    assert error.trace == "java.io.IOException: No space left on device\n\tat a.b.C.d(C.java:1)"
    local = datetime.fromisoformat("2026-03-01T10:00:02.456").astimezone()
    assert datetime.fromisoformat(error.at) == local
    assert later(tmp_path, DATABASE, ALL, after=reading.NOWHERE, count=10).items == page.items
    assert newest(tmp_path, DATABASE, Wanted.of("", "space left"), count=10).items == [error]


def test_a_file_that_begins_in_the_middle_of_an_entry_is_shown_too(tmp_path: Path) -> None:
    write(tmp_path, "\tat a.b.C.d(C.java:1)\n2026-03-01 10:00:00,123 INFO  [main] A: b\n", log=DATABASE)
    assert events(newest(tmp_path, DATABASE, ALL, count=10).items) == ["A: b", "\\tat a.b.C.d(C.java:1)"]


@pytest.mark.feature("A7")
@pytest.mark.parametrize("parse", [own_line, database_line])
@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_nothing_in_a_line_steers_a_terminal_or_turns_text_around(parse: Any, text: str) -> None:
    hostile = text.replace("\n", "") + "\x1b[2J\u202e\x9b\u2028"
    as_json = json.dumps({"event": hostile, "level": hostile, "timestamp": hostile, hostile: {"a": hostile}})
    for given_line in (as_json, f"2026-03-01 10:00:00,123 INFO [{hostile}] {hostile}", hostile):
        found = parse(given_line)
        if found is not None:
            assert found.text().replace("\n", "").isprintable()
            assert found.level in ("error", "warning", "info", "debug")
            assert (found.at + found.level).isprintable()


@pytest.mark.parametrize(
    "text", ["", "{", "1", "[]", "null", '{"level": "info"}', "[" * 100_000, '{"event": 1e999}', "NaN", "\x00\xff"]
)
def test_a_line_of_another_shape_is_none_and_no_error(text: str) -> None:
    assert own_line(text) is None
    assert database_line(text) is None


def test_a_log_is_downloaded_as_one_the_oldest_first(tmp_path: Path) -> None:
    write(tmp_path, line("e1"), number=2)
    write(tmp_path, line("e2"), number=1)
    write(tmp_path, line("e3") + "half")
    pieces = whole(tmp_path, OWN)
    first = next(pieces)
    write(tmp_path, line("too late"))
    assert b"".join([first, *pieces]).decode() == line("e1") + line("e2") + line("e3")
    assert b"".join(whole(tmp_path, DATABASE)) == b""


def test_what_is_no_log_and_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        log_of("../group.db")
    write(tmp_path, line("e1"))
    for wrong in ("x", "0-", "-1-1", "zz-1", "1-99999999999999999"):
        with pytest.raises(InvalidInput):
            newest(tmp_path, OWN, ALL, before=wrong, count=1)
        with pytest.raises(InvalidInput):
            later(tmp_path, OWN, ALL, after=wrong, count=1)
    assert newest(tmp_path, OWN, ALL, before="abcdef-10", count=1).items == [], "its file is gone"
