"""Concurrency Locks against a model: whoever holds a session, for how long, and that nothing is held for ever."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.errors import Unavailable
from hostward.domain.locks import MAX_PAGES, Holder, Lock, LockTable

pytestmark = pytest.mark.feature("R22")

LASTS_S = 60.0
HOLDERS = [Holder(server, server, login, "admin") for server in ("north", "south") for login in ("a", "b")]
SESSIONS = ["one", "two", "three"]
ACTS = st.one_of(
    st.tuples(
        st.sampled_from(["hold", "take over", "release"]),
        st.sampled_from(SESSIONS),
        st.sampled_from(HOLDERS),
        st.sampled_from(["p", "q"]),
    ),
    st.tuples(st.just("wait"), st.integers(0, 100).map(float)),
    st.tuples(st.just("log out"), st.sampled_from(HOLDERS)),
)


@dataclass
class Model:
    """For each session who holds it, and until when each page counts."""

    now_s: float = 0.0
    held: dict[str, tuple[Holder, dict[str, float]]] = field(default_factory=dict)

    def tidy(self) -> None:
        alive = {s: (h, {p: t for p, t in pages.items() if t > self.now_s}) for s, (h, pages) in self.held.items()}
        self.held = {s: (h, pages) for s, (h, pages) in alive.items() if pages}


@given(st.lists(ACTS, max_size=40))
def test_a_session_has_one_holder_until_it_is_released_taken_over_or_timed_out(acts: list[tuple[object, ...]]) -> None:
    table, model = LockTable(), Model()
    for act in acts:
        match act:
            case ("wait", float(seconds)):
                model.now_s += seconds
            case ("log out", Holder() as holder):
                still = [h.login for h in HOLDERS if h.server == holder.server and h != holder]
                table.end_logins(holder.server, still)
                model.held = {s: v for s, v in model.held.items() if v[0] != holder}
            case ("release", str(session), Holder() as holder, str(page)):
                table.release(session, holder, page)
                if session in model.held and model.held[session][0] == holder:
                    model.held[session][1].pop(page, None)
            case (str(do), str(session), Holder() as holder, str(page)):
                model.tidy()
                lock = hold(table, session, holder, page, model.now_s, take_over=do == "take over")
                there = model.held.get(session)
                if there is None or (there[0] != holder and do == "take over"):
                    there = model.held[session] = (holder, {})
                if there[0] == holder:
                    there[1][page] = model.now_s + LASTS_S
                assert lock.holder == there[0]
                assert 0 < lock.left_s <= LASTS_S
        model.tidy()
        found = {k.session: k for k in table.locks(model.now_s)}
        assert {s: k.holder for s, k in found.items()} == {s: h for s, (h, _) in model.held.items()}
        for session, lock in found.items():
            assert lock.left_s == pytest.approx(max(model.held[session][1].values()) - model.now_s)
    model.now_s += LASTS_S
    assert table.locks(model.now_s) == []  # whoever died, it isn't locked for ever


def hold(table: LockTable, session: str, holder: Holder, page: str, now_s: float, *, take_over: bool = False) -> Lock:
    return table.hold(session, holder, page, now_s=now_s, lasts_s=LASTS_S, take_over=take_over)


def test_the_age_of_a_lock_grows_with_renewals_and_begins_anew_when_it_is_taken_over() -> None:
    table = LockTable()
    hold(table, "one", HOLDERS[0], "p", 0.0)
    assert hold(table, "one", HOLDERS[0], "p", 50.0) == Lock("one", HOLDERS[0], 50.0, LASTS_S)
    assert hold(table, "one", HOLDERS[2], "p", 70.0) == Lock("one", HOLDERS[0], 70.0, 40.0)  # refused
    assert hold(table, "one", HOLDERS[2], "p", 80.0, take_over=True) == Lock("one", HOLDERS[2], 0.0, LASTS_S)
    table.release("one", HOLDERS[0])  # the loser's page is closed: it isn't theirs to release
    assert [k.holder for k in table.locks(90.0)] == [HOLDERS[2]]


def test_two_pages_of_one_login_share_a_lock_which_ends_with_the_last() -> None:
    table = LockTable()
    for page in ("p", "q"):
        hold(table, "one", HOLDERS[0], page, 0.0)
    table.release("one", HOLDERS[0], "p")
    assert len(table.locks(1.0)) == 1
    table.release("one", HOLDERS[0], "q")
    assert table.locks(1.0) == []
    for n in range(MAX_PAGES * 3):
        hold(table, "one", HOLDERS[0], f"page {n}", 2.0)
    for n in range(MAX_PAGES * 2, MAX_PAGES * 3):
        table.release("one", HOLDERS[0], f"page {n}")
    assert table.locks(3.0) == []  # pages that were never closed don't pile up
    hold(table, "one", HOLDERS[0], "p", 4.0)
    table.release("one", HOLDERS[0], None)
    assert table.locks(4.0) == []


def test_a_server_that_asks_for_too_many_gets_no_more_and_takes_nothing_from_others() -> None:
    table = LockTable(max_each_server=3)
    for n in range(3):
        hold(table, f"s{n}", HOLDERS[0], "p", 0.0)
    with pytest.raises(Unavailable) as refused:
        hold(table, "more", HOLDERS[1], "p", 0.0)
    assert refused.value.code == "too-many-locks"
    hold(table, "s0", HOLDERS[0], "p", 1.0)  # what it has can be renewed
    hold(table, "s1", HOLDERS[1], "p", 1.0, take_over=True)
    hold(table, "more", HOLDERS[2], "p", 1.0)
    with pytest.raises(Unavailable):
        hold(table, "more", HOLDERS[0], "p", 1.0, take_over=True)
    assert {k.session: k.holder for k in table.locks(2.0)}["more"] == HOLDERS[2]


def test_a_lock_survives_its_way_between_servers() -> None:
    lock = Lock("one", HOLDERS[1], 1.5, 58.5)
    assert Lock.from_json(lock.to_json()) == lock
