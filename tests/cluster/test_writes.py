"""Writing on the Master: what is promised of one change, of two at once, and of thousands in a file."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.support.api import Api, Refused
from tests.support.command import hostward
from tests.support.group import Group
from tests.support.history import History
from tests.support.inventory import as_csv, by_name, rows
from tests.support.server import Server
from tests.support.writers import Writers

pytestmark = pytest.mark.cluster

INVENTORY_ROWS = 5_000
BAD_TYPE, BAD_PORT = 3, 5


@pytest.mark.feature("R8")
def test_an_answer_says_which_registries_have_the_change(group: Group, master: Server) -> None:
    made = master.api.send("POST", "sessions", json=rows(1, prefix="Answered")[0])
    answer = made.json()
    assert made.headers["etag"] == f'"{answer["session"]["etag"]}"'
    replicated = answer["replicated"]
    assert replicated["of"] == 3
    assert replicated["have"] in (2, 3)
    assert replicated["confirmed"] is True
    assert answer["revision"] == master.api.status()["revision"] == answer["session"]["revision"]
    having = [s for s in group.slaves if s.api.status()["revision"] >= answer["revision"]]
    assert len(having) >= 1
    group.wait_equal()
    for slave in group.slaves:
        assert slave.api.get(f"sessions/{answer['session']['id']}") == answer["session"]


@pytest.mark.feature("R26")
def test_a_change_to_what_somebody_else_changed_is_refused(master: Server) -> None:
    session = master.api.post("sessions", rows(1, prefix="Conflict")[0])["session"]
    path = f"sessions/{session['id']}"
    newer = master.api.patch(path, {"comment": "first"}, etag=session["etag"])["session"]
    attempts: list[Callable[[], object]] = [
        lambda: master.api.patch(path, {"comment": "second"}, etag=session["etag"]),
        lambda: master.api.put(path, {**rows(1, prefix="Conflict")[0], "comment": "second"}, etag=session["etag"]),
        lambda: master.api.delete(path, etag=session["etag"]),
    ]
    for send in attempts:
        with pytest.raises(Refused) as refused:
            send()
        assert (refused.value.status, refused.value.problem["current"]) == (412, newer["etag"])
    assert master.api.get(path) == newer
    master.api.delete(path, etag=newer["etag"])


@pytest.mark.feature("R26")
def test_of_two_changes_at_once_exactly_one_wins(group: Group, master: Server) -> None:
    session = master.api.post("sessions", rows(1, prefix="Race")[0])["session"]
    path = f"sessions/{session['id']}"
    with ThreadPoolExecutor(2) as pool:
        for round_ in range(10):
            session = master.api.get(path)
            together = threading.Barrier(2)

            def patch(
                who: int, etag: str = session["etag"], round_: int = round_, together: threading.Barrier = together
            ) -> dict[str, Any] | int:
                together.wait(10)
                try:
                    answer: dict[str, Any] = master.api.patch(path, {"comment": f"{round_} by {who}"}, etag=etag)
                    return answer
                except Refused as refused:
                    return refused.status

            answers = list(pool.map(patch, (1, 2)))
            assert sorted(a if isinstance(a, int) else 200 for a in answers) == [200, 412]
            won = next(a for a in answers if isinstance(a, dict))
            assert master.api.get(path) == won["session"]
    group.wait_equal()
    for slave in group.slaves:
        assert slave.api.get(path) == master.api.get(path)


@pytest.mark.feature("R26")
def test_a_repeated_request_acts_once(master: Server) -> None:
    fields = rows(1, prefix="Once")[0]
    first = master.api.post("sessions", fields, headers={"Idempotency-Key": "one"})
    again = master.api.post("sessions", fields, headers={"Idempotency-Key": "one"})
    assert (again["session"], again["revision"]) == (first["session"], first["revision"])
    assert master.api.get("sessions", q=fields["name"])["total"] == 1
    with pytest.raises(Refused) as refused:
        master.api.post("sessions", fields, headers={"Idempotency-Key": "two"})
    assert (refused.value.status, refused.value.code) == (409, "name-taken")
    content = as_csv(rows(20, prefix="Imported once"))
    first = master.api.import_(content, key="three")
    again = master.api.import_(content, key="three")
    assert (first["imported"], first["revision"]) == (20, again["revision"])


@pytest.mark.feature("R1")
@pytest.mark.feature("R8")
def test_a_stream_from_many_clients_keeps_its_order_everywhere(history: History, master: Server) -> None:
    writers = Writers(master.api, history, count=8, seed=1, prefix="Stream", changes=40)
    writers.start()
    writers.import_rows(500, seed=2)
    writers.join(60)
    assert history.counts()["unknown"] == 0
    assert all(w.replicated["of"] == 3 for w in history.acknowledged)


class Watcher:
    """A client that asks one server for its number of sessions, again and again."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.seen: list[int] = []

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def _watch(self) -> None:
        while not self._stop.is_set():
            self.seen.append(self._api.total())


@pytest.mark.feature("R1")
@pytest.mark.feature("R8")
@pytest.mark.feature("R26")
def test_an_import_is_on_every_slave_when_it_answers_and_nobody_sees_half_of_it(group: Group, master: Server) -> None:
    before = master.api.total()
    sessions = rows(INVENTORY_ROWS, seed=5, prefix="Inventory")
    with Watcher(group.slaves[0].api) as first, Watcher(group.slaves[1].api) as second:
        answer = master.api.import_(as_csv(sessions))
        exports = [server.api.export() for server in group.servers]
    assert (answer["imported"], answer["updated"], answer["skipped"]) == (INVENTORY_ROWS, 0, 0)
    assert answer["replicated"] == {"have": 3, "of": 3, "confirmed": True}
    assert exports[0] == exports[1] == exports[2]
    have = by_name(exports[0])
    assert {name: have[name] for name in by_name(sessions)} == by_name(sessions)
    for watcher in (first, second):
        assert watcher.seen, "nobody watched"
        assert set(watcher.seen) <= {before, before + INVENTORY_ROWS}
    group.check_equal()
    assert master.api.import_(as_csv(sessions))["unchanged"] == INVENTORY_ROWS


def with_mistakes() -> tuple[list[dict[str, Any]], bytes]:
    """An inventory of which two rows are wrong, and its good rows."""
    sessions = rows(8, seed=9, prefix="Mistaken")
    wrong = [dict(s) for s in sessions]
    wrong[BAD_TYPE]["type"] = "IBM 3271"
    wrong[BAD_PORT]["port"] = "70000"
    return [s for n, s in enumerate(sessions) if n not in (BAD_TYPE, BAD_PORT)], as_csv(wrong)


@pytest.mark.feature("R26")
def test_a_refused_import_leaves_everything_as_it_was(group: Group, master: Server) -> None:
    _, content = with_mistakes()
    before = [(server.api.status()["revision"], server.api.export()) for server in group.servers]
    with pytest.raises(Refused) as refused:
        master.api.import_(content)
    assert refused.value.status == 422
    mistakes = refused.value.problem["mistakes"]
    assert [(m["row"], m["field"]) for m in mistakes] == [(BAD_TYPE + 2, "type"), (BAD_PORT + 2, "port")]
    assert all(m["problem"] and m["remedy"] for m in mistakes)
    assert [(server.api.status()["revision"], server.api.export()) for server in group.servers] == before


@pytest.mark.feature("R26")
def test_the_command_line_imports_the_good_rows_only_when_asked_to(
    group: Group, master: Server, tmp_path: Path
) -> None:
    good, content = with_mistakes()
    file = tmp_path / "inventory.csv"
    file.write_bytes(content)
    before = master.api.total()
    refused = hostward("session", "import", str(file), on=master, home=tmp_path)
    assert refused.returncode == 1
    assert "IBM 3271" in refused.stderr
    assert "70000" in refused.stderr
    assert master.api.total() == before
    done = hostward("session", "import", str(file), "--skip-invalid", on=master, home=tmp_path)
    assert done.returncode == 0, done.stderr
    for server in group.servers:
        have = by_name(server.api.export())
        assert {name: have.get(name) for name in by_name(good)} == by_name(good)
        assert server.api.total() == before + len(good)
