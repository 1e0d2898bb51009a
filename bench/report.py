"""bench/results.md: what it ran on, one table of medians, why goals are missed, every round's values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.goals import Measure, measures
from bench.samples import Samples, Sizes

NOTES = Path(__file__).with_name("notes.md")
UNEXPLAINED = "No reason is written down in notes.md yet."
UNRELIABLE = "**Sizes of a quick run: it shows that the harness works; its numbers mean nothing.**"


@dataclass(frozen=True, slots=True)
class Run:
    """All that the report tells of."""

    facts: Sequence[tuple[str, str]]
    sizes: Sizes
    quick: bool
    rounds: int
    wanted: frozenset[str]
    ours: Samples
    raw: Samples
    failures: Sequence[str]
    warning: str


def report(run: Run, notes: str) -> str:
    """The whole file."""
    chosen = [m for m in measures(run.sizes) if m.id in run.wanted]
    parts = [_head(run), _table(run, chosen), _missed(run, chosen, notes), _failures(run), _rounds(run, chosen)]
    return "\n\n".join(part for part in parts if part) + "\n"


def read_notes(path: Path = NOTES) -> str:
    """What is written by hand; "" where there is nothing."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _head(run: Run) -> str:
    lines = ["# Hostward beside raw Cassandra", "", "Written by `python -m bench`; reasons come from `notes.md`.", ""]
    lines += [f"- {name}: {value}" for name, value in run.facts]
    lines += [
        f"- {run.rounds} rounds, alternating between the two, each with a new group of three on this one machine, its"
        " load clients included; the table has the medians",
        "- Raw Cassandra: the same three nodes with the product's own settings (batch commit log, TLS), rows of 2 KB"
        " through its driver; acknowledged at LOCAL_QUORUM, propagated from a write at ONE, an inventory as rows at"
        " ONE. MB are 10⁶ bytes of resident memory, of the Python process alone or of one node",
        "- OpenLDAP's and etcd's values were measured earlier on a machine of this kind",
    ]
    for warning in (run.warning, UNRELIABLE if run.quick else ""):
        lines += ["", warning] if warning else []
    return "\n".join(lines)


def _table(run: Run, chosen: Sequence[Measure]) -> str:
    lines = ["| | measure | Hostward | raw Cassandra | goal | met |", "| --- | --- | --- | --- | --- | --- |"]
    for one in chosen:
        ours, raw = _values(run, one)
        cells = (one.id, one.words, _shown(ours, one), _shown(raw, one), one.goal or "–", _met(one, ours, raw))
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _missed(run: Run, chosen: Sequence[Measure], notes: str) -> str:
    """Each goal that is missed, with what notes.md says under the measure's heading, and its other text last."""
    by_id, rest = _sections(notes)
    lines: list[str] = []
    for id_ in dict.fromkeys(one.id for one in chosen):
        missed = [(one, words) for one in chosen if one.id == id_ and (words := _missed_limits(run, one))]
        if not missed:
            continue
        lines += [f"### {id_}", ""]
        lines += [
            f"- {one.words}: {_shown(_values(run, one)[0], one)}, the goal is {'; '.join(words)}"
            for one, words in missed
        ]
        lines += ["", by_id.get(id_, UNEXPLAINED), ""]
    found = ["## Goals missed, and why", "", *lines] if lines else []
    return "\n".join([*found, *(["## Notes", "", rest] if rest else [])]).strip()


def _failures(run: Run) -> str:
    if not run.failures:
        return ""
    return "\n".join(["## What could not be measured", "", *(f"- {words}" for words in run.failures)])


def _rounds(run: Run, chosen: Sequence[Measure]) -> str:
    lines = ["## Every round", "", "| | measure | Hostward | raw Cassandra |", "| --- | --- | --- | --- |"]
    for one in chosen:
        ours = run.ours.values.get(one.name, [])
        raw = run.raw.values.get(one.raw_name or one.name, [])
        each = [", ".join(_number(value, one) for value in values) or "–" for values in (ours, raw)]
        lines.append(f"| {one.id} | {one.words}, {one.unit} | {each[0]} | {each[1]} |")
    return "\n".join(lines)


def _values(run: Run, one: Measure) -> tuple[float | None, float | None]:
    return run.ours.median(one.name), run.raw.median(one.raw_name or one.name)


def _met(one: Measure, ours: float | None, raw: float | None) -> str:
    if ours is None:
        return "not measured"
    if not one.limits:
        return "–"
    held = [(limit.words, limit.holds(ours, raw)) for limit in one.limits]
    missed = [words for words, good in held if good is False]
    unknown = [words for words, good in held if good is None]
    if missed:
        return "**no**" if len(missed) == len(held) else f"**no**: {'; '.join(missed)}"
    return f"yes, unknown: {'; '.join(unknown)}" if unknown else "yes"


def _missed_limits(run: Run, one: Measure) -> list[str]:
    ours, raw = _values(run, one)
    return [] if ours is None else [limit.words for limit in one.limits if limit.holds(ours, raw) is False]


def _shown(value: float | None, one: Measure) -> str:
    return "–" if value is None else f"{_number(value, one)} {one.unit}"


def _number(value: float, one: Measure) -> str:
    return f"{value:,.{one.digits}f}"


def _sections(notes: str) -> tuple[dict[str, str], str]:
    """The text under each heading `## P<number>`, and what stands before the first of them."""
    first, *others = re.split(r"^## (P\d+)[^\n]*\n", notes, flags=re.MULTILINE)
    found = {id_: text.strip() for id_, text in zip(others[::2], others[1::2], strict=True) if text.strip()}
    return found, re.sub(r"^# [^\n]*\n", "", re.sub(r"<!--.*?-->", "", first, flags=re.DOTALL)).strip()
