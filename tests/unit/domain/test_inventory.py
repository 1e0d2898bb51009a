from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from codecs import BOM_UTF8, BOM_UTF16_BE

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.domain.strategies import inventories

from hostward.domain.changes import Body, canonical
from hostward.domain.errors import InvalidInput
from hostward.domain.inventory import (
    Format,
    ParsedInventory,
    export_csv,
    export_json,
    new_session_id,
    parse,
    plan_import,
    reading,
)
from hostward.domain.inventory.formulas import guard, unguard
from hostward.domain.sessions import FIELDS, KIND, check_fields
from hostward.domain.texts import name_key

pytestmark = pytest.mark.feature("R26")

HEADER = ",".join(FIELDS)
GOOD_ROWS = (
    'TSO Göteborg 1,IBM 3270,tso1.example.com,992,yes,LU3538,3279-4-E,1147,Claims;Operations,"needs ""LU"", see it"',
    "Ledger Oslo 2,VT,192.0.2.7,23,no,,,,Claims,",
    "Payroll Lyon 3,SSH,2001:db8::1,22,no,,,,,<script>alert(1)</script>",
    "HR Porto 4,IBM 5250,hr.example.com,992,yes,,,037,Finance,Übergabe nötig",
)
EXPECTED: list[Body] = [
    {
        "name": "TSO Göteborg 1",
        "type": "IBM 3270",
        "host": "tso1.example.com",
        "port": 992,
        "tls": True,
        "lu": "LU3538",
        "model": "3279-4-E",
        "code_page": "1147",
        "groups": ["Claims", "Operations"],
        "comment": 'needs "LU", see it',
    },
    {
        "name": "Ledger Oslo 2",
        "type": "VT",
        "host": "192.0.2.7",
        "port": 23,
        "tls": False,
        "lu": "",
        "model": "",
        "code_page": "",
        "groups": ["Claims"],
        "comment": "",
    },
    {
        "name": "Payroll Lyon 3",
        "type": "SSH",
        "host": "2001:db8::1",
        "port": 22,
        "tls": False,
        "lu": "",
        "model": "",
        "code_page": "",
        "groups": [],
        "comment": "<script>alert(1)</script>",
    },
    {
        "name": "HR Porto 4",
        "type": "IBM 5250",
        "host": "hr.example.com",
        "port": 992,
        "tls": True,
        "lu": "",
        "model": "",
        "code_page": "037",
        "groups": ["Finance"],
        "comment": "Übergabe nötig",
    },
]


def file(*rows: str, end: str = "\r\n") -> str:
    return end.join((HEADER, *rows)) + end


GOOD = file(*GOOD_ROWS)


def good(data: bytes, format: Format | None = None) -> list[Body]:
    parsed = parse(data, format)
    parsed.require_all_good()
    return parsed.sessions


def found(parsed: ParsedInventory) -> list[tuple[int | None, str]]:
    return [(m.row, m.field) for m in parsed.mistakes]


def refusal(data: bytes | str, format: Format | None = None) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse(data.encode() if isinstance(data, str) else data, format)
    assert caught.value.remedy
    return caught.value


class TestEncodings:
    @pytest.mark.parametrize("end", ["\r\n", "\n"])
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be with a mark"])
    def test_what_spreadsheets_write_is_read(self, encoding: str, delimiter: str, end: str) -> None:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=end)
        writer.writerows(csv.reader(io.StringIO(GOOD, newline="")))
        text = out.getvalue()
        data = BOM_UTF16_BE + text.encode("utf-16-be") if " " in encoding else text.encode(encoding)
        assert good(data) == EXPECTED

    def test_another_encoding_is_refused_with_the_place(self) -> None:
        error = refusal(GOOD.encode("cp1252"))
        assert "line 2 has the byte 0xF6 (“ö” in Windows-1252)" in error.message
        assert "CSV UTF-8" in error.remedy

    @pytest.mark.parametrize(
        ("data", "word"),
        [
            (GOOD.encode("utf-16-le"), "UTF-16 without a byte order mark"),
            (GOOD.encode("utf-16")[:-1], "begins as UTF-16"),
            (GOOD.encode("utf-32"), "UTF-32"),
            (b"PK\x03\x04...", "Excel workbook"),
            (b"", "empty"),
            (BOM_UTF8 + b"\r\n \r\n", "empty"),
        ],
    )
    def test_what_is_no_text_is_named(self, data: bytes, word: str) -> None:
        assert word in refusal(data).message

    @given(
        st.binary(max_size=200)
        | st.text(max_size=100).map(str.encode)
        | st.text(max_size=99).map(lambda t: (HEADER + "\n" + t).encode())
    )
    def test_whatever_the_bytes_are_only_good_sessions_come_out(self, data: bytes) -> None:
        with contextlib.suppress(InvalidInput):
            parsed = parse(data)
            assert all(check_fields(session) == session for session in parsed.sessions)
            assert len({m.row for m in parsed.mistakes}) == parsed.skipped


class TestCsv:
    def test_every_mistake_has_its_row_column_problem_and_remedy_and_no_good_row_is_flagged(self) -> None:
        name = "x" * 300
        parsed = parse(
            file(
                GOOD_ROWS[0],
                "Port,VT,h,70000,yes,,,,,",
                'Break,VT,"a\r\nSet-Cookie: x",992,yes,,,,,',
                "Host,VT,bad host name,992,yes,,,,,",
                GOOD_ROWS[1],
                "ledger OSLO 2,VT,h,23,no,,,,,",
                "Type,IBM 9999,h,22,no,,,,,",
                ",VT,h,23,no,,,,,",
                f"{name},VT,h,23,no,,,,,",
                "Tls,VT,h,23,maybe,,,,,",
                "../../etc/passwd,VT,h,23,no,,,,,",
                "Empty port,VT,h,,yes,,,,,",
                "Lu,SSH,h,22,no,LU WITH SPACE,,,,",
                GOOD_ROWS[2],
                "Two,VT,h h,0,no,,,,,",
                "Nine commas,VT,h,23,no,,,,,a comment, with a comma",
                GOOD_ROWS[3],
            ).encode()
        )
        assert parsed.sessions == EXPECTED
        assert found(parsed) == [
            (3, "port"),
            (4, "host"),
            (5, "host"),
            (7, "name"),
            (8, "type"),
            (9, "name"),
            (10, "name"),
            (11, "tls"),
            (12, "name"),
            (13, "port"),
            (14, "lu"),
            (16, "host"),
            (16, "port"),
            (17, "comment"),
        ]
        assert parsed.skipped == 13
        assert all(m.problem and m.remedy for m in parsed.mistakes)
        assert "in row 6 already" in parsed.mistakes[3].problem
        with pytest.raises(InvalidInput, match="13 of 17 rows have mistakes; nothing was imported") as caught:
            parsed.require_all_good()
        assert list(caught.value.mistakes) == parsed.mistakes

    def test_a_duplicate_of_a_row_with_a_mistake_is_one_too(self) -> None:
        assert found(parse(file("A,VT,h h,23,no,,,,,", "a,VT,h,23,no,,,,,").encode())) == [(2, "host"), (3, "name")]

    def test_columns_come_in_any_order_and_case(self) -> None:
        rows = list(csv.DictReader(io.StringIO(GOOD, newline="")))
        out = io.StringIO()
        writer = csv.DictWriter(out, sorted(FIELDS))
        writer.writerow({name: f" {name.upper()} " for name in FIELDS})
        writer.writerows(rows)
        assert good(out.getvalue().encode()) == EXPECTED

    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (HEADER.replace("code_page", "codepage"), {"codepage", "code_page"}),
            (HEADER.replace(",comment", ""), {"comment"}),
            (HEADER + ",port", {"port"}),
            ("nam,typ", {"nam", "typ", *FIELDS}),
        ],
    )
    def test_columns_that_are_wrong_are_all_named(self, header: str, expected: set[str]) -> None:
        error = refusal(header + "\r\n" + "x," * 9 + "\r\n")
        assert {m.field for m in error.mistakes} == expected
        assert all(m.row == 1 for m in error.mistakes)

    def test_a_column_that_was_probably_meant_is_named(self) -> None:
        assert "Did you mean “code_page”?" in refusal(HEADER.replace("code_page", "codepage")).message

    def test_empty_rows_are_passed_over_but_counted(self) -> None:
        parsed = parse(file("", GOOD_ROWS[1], ",,,,,,,,,", "B,VT,,23,no,,,,,").encode())
        assert parsed.sessions == [EXPECTED[1]]
        assert found(parsed) == [(5, "host")]

    def test_a_row_may_end_early_where_its_last_cells_are_empty(self) -> None:
        assert good(file("Ledger Oslo 2,VT,192.0.2.7,23,no,,,,Claims").encode()) == [EXPECTED[1]]
        assert found(parse(file("Ledger Oslo 2,VT").encode())) == [(2, "host"), (2, "port"), (2, "tls")]
        assert good(file(GOOD_ROWS[1] + ",,,").encode()) == [EXPECTED[1]]

    def test_line_breaks_in_cells_are_kept(self) -> None:
        [body] = good(file('A,VT,h,23,no,,,,,"one\r\ntwo\nthree"').encode())
        assert body["comment"] == "one\r\ntwo\nthree"

    @pytest.mark.parametrize("row", ['A,VT,h,23,no,,,,,"never closed', 'A,VT,h,23,no,,,,,"a"b', "A" * 200_000])
    def test_broken_csv_is_refused_with_the_line(self, row: str) -> None:
        assert re.search(r"at line \d", refusal(file(GOOD_ROWS[0], row)).message)

    def test_only_a_header_is_an_empty_inventory(self) -> None:
        assert good(file().encode()) == []

    def test_what_comes_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reading, "MAX_MISTAKES", 3)
        parsed = parse(file(*(f"{i},VT,h h,0,no,,,,," for i in range(5))).encode())
        assert (len(parsed.mistakes), parsed.skipped, parsed.unlisted) == (3, 5, 7)
        with pytest.raises(InvalidInput, match="7 aren't"):
            parsed.require_all_good()
        monkeypatch.setattr(reading, "MAX_ROWS", 3)
        assert "more than 3 rows" in refusal(GOOD).message
        monkeypatch.setattr(reading, "MAX_BYTES", 100)
        assert refusal(GOOD).code == "inventory-too-large"


class TestJson:
    def test_a_list_of_objects_is_read(self) -> None:
        data = orjson.dumps(EXPECTED)
        assert good(data) == good(b"\n " + data) == good(BOM_UTF8 + data, Format.JSON) == EXPECTED

    def test_mistakes_have_the_objects_number(self) -> None:
        rows = [EXPECTED[0], EXPECTED[1] | {"port": 0}, 7, EXPECTED[2] | {"colour": "red"}]
        rows.append({k: v for k, v in EXPECTED[3].items() if k != "comment"})
        parsed = parse(orjson.dumps(rows))
        assert parsed.sessions == [EXPECTED[0]]
        assert found(parsed) == [(2, "port"), (3, ""), (4, "colour"), (5, "comment")]

    @pytest.mark.parametrize("data", ["{}", '[{"name": }]', "[" * 5000, "[1", '{"a": 1}', "null"])
    def test_what_is_no_list_is_refused(self, data: str) -> None:
        assert refusal(data, Format.JSON).code == "inventory-syntax"


class TestExport:
    @given(inventories())
    def test_what_is_exported_and_imported_is_the_same(self, bodies: list[Body]) -> None:
        assert good(b"".join(export_csv(bodies))) == bodies
        assert good(b"".join(export_json(bodies))) == bodies

    def test_the_form_of_csv(self) -> None:
        assert b"".join(export_csv(EXPECTED)) == GOOD.encode()

    def test_the_form_of_json(self) -> None:
        written = b"".join(export_json(EXPECTED))
        assert orjson.loads(written) == EXPECTED
        assert [list(row) for row in orjson.loads(written)] == [list(FIELDS)] * 4
        assert written.count(b"\n") == 6

    def test_large_inventories_come_in_pieces(self) -> None:
        many = [EXPECTED[0] | {"name": f"Session {i}"} for i in range(2000)]
        for export in (export_csv, export_json):
            pieces = list(export(many))
            assert len(pieces) > 2
            assert max(map(len, pieces)) < 80_000
            assert good(b"".join(pieces)) == many

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "'=", "''@"])
    def test_no_cell_is_a_formula_for_a_spreadsheet(self, start: str) -> None:
        body = EXPECTED[0] | {"comment": f"{start}HYPERLINK(1)"}
        [_, row] = csv.reader(io.StringIO(b"".join(export_csv([body])).decode(), newline=""))
        assert row[-1] == f"'{start}HYPERLINK(1)"

    @given(st.text(st.sampled_from("'=+-@\ta\n＝") | st.characters(), max_size=6))
    def test_guarding_is_undone_exactly(self, text: str) -> None:
        assert unguard(guard(text)) == text
        assert not guard(text).startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


class TestPlan:
    def existing(self, *bodies: Body) -> dict[str, tuple[str, bytes]]:
        return {name_key(b["name"]): (f"id{i}", canonical(b)) for i, b in enumerate(bodies)}

    def test_new_ones_are_added_different_ones_replaced_the_same_left(self) -> None:
        changed = EXPECTED[1] | {"port": 2323}
        renamed = EXPECTED[2] | {"name": EXPECTED[2]["name"].upper()}
        numbers = itertools.count()
        plan = plan_import(
            self.existing(EXPECTED[0], changed, renamed), parse(GOOD.encode()), lambda: f"new{next(numbers)}"
        )
        assert (plan.imported, plan.updated, plan.unchanged) == (1, 2, 1)
        assert [(p.kind, p.id, p.body) for p in plan.puts] == [
            (KIND, id_, canonical(body)) for id_, body in zip(("id1", "id2", "new0"), EXPECTED[1:], strict=True)
        ]

    @given(inventories(), inventories())
    def test_importing_twice_changes_nothing(self, before: list[Body], bodies: list[Body]) -> None:
        held = self.existing(*before)
        first = plan_import(held, ParsedInventory(bodies))
        assert first.imported + first.updated + first.unchanged == len(bodies)
        assert len({p.id for p in first.puts}) == len(first.puts) == first.imported + first.updated
        after = held | {name_key(orjson.loads(p.body)["name"]): (p.id, p.body) for p in first.puts}
        again = plan_import(after, ParsedInventory(bodies))
        assert again.puts == ()
        assert again.unchanged == len(bodies)

    def test_ids_differ(self) -> None:
        assert re.fullmatch("[0-9a-f]{32}", new_session_id())
        assert new_session_id() != new_session_id()
