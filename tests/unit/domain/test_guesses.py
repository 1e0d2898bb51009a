"""What servers tell each other of wrong passwords: in any order, as often as it comes, and within bounds."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hostward.domain.guesses import (
    FORGOTTEN_AFTER_S,
    LONGEST_S,
    MAX_ADDRESS,
    MAX_FAILURES,
    MAX_KEPT,
    MAX_TOLD,
    MAX_WAITS,
    MIN_TOLD,
    MOVES_EVERY_S,
    NONE,
    Guesses,
    Limit,
    Wait,
    heard,
    to_tell,
    together,
    wait_s,
    waits_told,
)

pytestmark = pytest.mark.feature("A10")

NOW_S = 10_000.0
LIMIT = Limit(free=10, longest_s=900.0)
keys = st.sampled_from("abcdef")
entries = st.tuples(keys, st.integers(1, 2_000), st.floats(0, 5_000)).map(list)
said = st.lists(entries, max_size=8)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=40,
)


@given(said, said)
def test_hearing_it_again_changes_nothing(first: list[Any], second: list[Any]) -> None:
    once = heard(heard({}, first, NOW_S), second, NOW_S)
    assert heard(once, second, NOW_S) == once


@given(st.dictionaries(st.sampled_from("123"), said, max_size=3))
def test_whose_word_comes_first_does_not_matter(by_server: dict[str, list[Any]]) -> None:
    told = {server: heard({}, words, NOW_S) for server, words in by_server.items()}
    for key in "abcdef":
        orders = {together(order, key, NOW_S) for order in itertools.permutations(told.values())}
        assert len(orders) == 1
        assert orders.pop().failures <= MAX_FAILURES * len(told)


@given(st.lists(st.tuples(anything, st.floats(0, 60)), max_size=6))
def test_whatever_a_server_says_is_bounded_and_never_lies_in_the_future(words: list[tuple[Any, float]]) -> None:
    now_s, kept = NOW_S, dict[str, Guesses]()
    for word, later_s in words:
        now_s += later_s
        kept = heard(kept, word, now_s)
        assert len(kept) <= MAX_KEPT
        assert all(0 <= g.failures <= MAX_FAILURES and g.last_s <= now_s for g in kept.values())


def test_a_flood_of_keys_is_bounded() -> None:
    kept: dict[str, Guesses] = {}
    for second in range(40):
        kept = heard(kept, [[f"{second}-{n}", 5, 0] for n in range(5_000)], NOW_S + second)
        assert len(kept) <= MAX_KEPT
        assert sum(1 for g in kept.values() if g.failures) <= MAX_TOLD
    assert len(to_tell(((str(n), Guesses(5, NOW_S)) for n in range(5_000)), NOW_S)) == MAX_TOLD


@given(st.lists(st.sampled_from([0, 3, 50, 1_000]), min_size=40, max_size=40))
def test_a_server_that_lies_keeps_nobody_waiting_for_ever(lies: list[int]) -> None:
    """Whatever it says each second: within every 20 s there are 10 in which the first guess here needn't wait."""
    kept: dict[str, Guesses] = {}
    free_s = 0
    for second, failures in enumerate(lies):
        now_s = NOW_S + second
        kept = heard(kept, [["k", failures, 0]] if failures else [], now_s)
        waits_s = wait_s(LIMIT, NONE, together([kept], "k", now_s), now_s)
        assert waits_s <= LONGEST_S
        free_s += waits_s <= 0
    assert free_s >= len(lies) / MOVES_EVERY_S * (MOVES_EVERY_S - LONGEST_S)


def test_only_what_was_guessed_several_times_and_lately_is_told_the_most_guessed_first() -> None:
    counted = [
        ("once", Guesses(1, NOW_S)), ("often", Guesses(9, NOW_S - 60)), ("some", Guesses(MIN_TOLD, NOW_S)),
        ("long ago", Guesses(50, NOW_S - FORGOTTEN_AFTER_S - 1)),
    ]  # fmt: skip
    assert to_tell(counted, NOW_S) == [["often", 9, 60.0], ["some", MIN_TOLD, 0.0]]


def test_guesses_elsewhere_count_as_those_here_but_for_at_most_ten_seconds() -> None:
    def waits(own: int, others: int) -> float:
        return wait_s(LIMIT, Guesses(own, NOW_S), Guesses(others, NOW_S), NOW_S)

    assert [waits(5, n) for n in range(3, 12)] == [0, 0, 1, 2, 4, 8, 10, 10, 10]
    assert waits(15, 0) == waits(15, 1) == 32
    assert wait_s(LIMIT, NONE, Guesses(11, NOW_S - 1), NOW_S) == 1
    assert wait_s(LIMIT, NONE, NONE, NOW_S) <= 0


def test_it_is_forgotten_an_hour_after_the_last_guess() -> None:
    told = heard({}, [["k", 50, 0]], NOW_S)
    assert together([told], "k", NOW_S + FORGOTTEN_AFTER_S).failures == 50
    assert together([told], "k", NOW_S + FORGOTTEN_AFTER_S + 1) == NONE


def test_what_another_server_says_of_waits_is_bounded_and_nonsense_is_left_out() -> None:
    good = ["192.0.2.1", 12, 3.5]
    said = [good, ["x" * 500, 10**9, 1e9], [1, 2, 3], ["a", 0, 1], ["a", "b", 1], None]
    first, second = waits_told(said, 900.0)
    assert first == Wait("192.0.2.1", 12, 3.5)
    assert (len(second.address), second.wrong, second.wait_s) == (MAX_ADDRESS, MAX_FAILURES, 900.0)
    assert waits_told([good] * 1000, 900.0) == [Wait("192.0.2.1", 12, 3.5)] * MAX_WAITS
    assert waits_told("nonsense", 900.0) == []
