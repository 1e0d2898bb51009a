"""Each act has its words, and one that has none is recorded all the same."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.commands.servers import ACTOR, open_server

from hostward.commands import auditing
from hostward.commands.auditing import recorded
from hostward.domain.audit import ACTS, Event, Filter, text_of
from hostward.domain.errors import Conflict

pytestmark = pytest.mark.feature("R24")

SOURCE = Path(auditing.__file__).parents[1]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def acts_in(tree: ast.AST) -> Iterator[str]:
    """What is given as the act wherever a command records one: `f(services, actor, "act", …)`, or an Event."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        words = [a for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        names = [ast.unparse(a) for a in call.args[:2]]
        if (isinstance(call.func, ast.Name) and call.func.id == "recorded") or names == ["services", "actor"]:
            yield from (str(w.value) for w in words[:1] if call.args.index(w) == 2)
        elif isinstance(call.func, ast.Name) and call.func.id == "Event":
            yield from (str(w.value) for w in words[:1] if call.args.index(w) == 0)


def test_each_act_in_the_code_has_words_and_each_word_an_act() -> None:
    files = [path for path in SOURCE.rglob("*.py") if path != SOURCE / "domain" / "audit.py"]
    found = {act for path in files for act in acts_in(ast.parse(path.read_text(encoding="utf-8")))}
    assert {"change-undone", "sessions-edited", "logged-in", "server-started"} <= found, "the search finds them"
    assert found - set(ACTS) == set(), "these have no words in domain/audit.py"
    assert {act for act in ACTS if not act.startswith("audit-")} - found == set(), "nothing does these"


@pytest.mark.anyio
async def test_an_act_without_words_stops_nobody(tmp_path: Path) -> None:
    with open_server(tmp_path) as (services, _):
        async with recorded(services, ACTOR, "painted-green"):
            pass
        with pytest.raises(Conflict):
            async with recorded(services, ACTOR, "painted-green"):
                raise Conflict("It is wet.", remedy="Wait.")
        page = await auditing.list_entries(services, Filter(act="painted-green"), before="", count=9)
        assert [k.entry.event.outcome for k in page.items] == ["refused", "done"]
        assert text_of("painted-green") == "painted-green"


@pytest.mark.anyio
async def test_what_comes_together_is_written_together_and_a_fault_leaves_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_server(tmp_path) as (services, _):
        add, together = services.auditor.log.add, list[int]()

        def counted(*events: Event) -> None:
            together.append(len(events))
            add(*events)

        def faulty(*_: Event) -> None:
            raise ZeroDivisionError

        marks = [Event("session-created", about={"id": str(n)}) for n in range(40)]
        monkeypatch.setattr(services.auditor.log, "add", counted)
        await asyncio.gather(*map(services.auditor.record, marks))
        assert sum(together) == 40
        assert len(together) <= 3
        page = await auditing.list_entries(services, Filter(act="session-created"), before="", count=50)
        assert [k.entry.event for k in reversed(page.items)] == marks
        monkeypatch.setattr(services.auditor.log, "add", faulty)
        ends = await asyncio.gather(*map(services.auditor.record, marks), return_exceptions=True)
        assert {type(end) for end in ends} == {ZeroDivisionError}
        monkeypatch.setattr(services.auditor.log, "add", counted)
        await asyncio.wait_for(services.auditor.record(marks[0]), 10)
