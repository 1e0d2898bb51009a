"""The judge of what a server may hold must be able to say no."""

from __future__ import annotations

from tests.support.lines import Line


def of_three() -> Line:
    line = Line({"old": 0})
    line.note("a", 1)
    line.note("b", 2)
    line.note("old", None)
    return line


def test_every_state_in_order_is_allowed() -> None:
    line = of_three()
    for found in ({"old": 0}, {"old": 0, "a": 1}, {"old": 0, "a": 1, "b": 2}, {"a": 1, "b": 2}):
        assert line.problem(found, 0) is None


def test_a_lost_a_stale_an_invented_and_a_mixed_state_are_found() -> None:
    line = of_three()
    assert "b is None, was ['2']" in str(line.problem({"a": 1}, 3))
    assert line.problem({"old": 0, "a": 1}, 3) is not None
    assert line.problem({"a": 1, "b": 2, "c": 3}, 0) is not None
    assert line.problem({"old": 0, "b": 2}, 0) is not None


def test_nothing_after_the_end_is_allowed() -> None:
    assert of_three().problem({"a": 1, "b": 2}, 0, 2) is not None


def test_a_write_whose_answer_was_lost_may_have_acted_or_not() -> None:
    line = Line()
    line.note("a", 1, sure=False)
    assert line.problem({}, 1) is None
    assert line.problem({"a": 1}, 1) is None
    assert line.problem({"a": 2}, 1) is not None
