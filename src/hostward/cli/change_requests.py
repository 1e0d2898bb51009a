"""`hostward request …`: changes that were made on a Slave, until they are implemented on the Master."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from hostward.cli.options import Call, client_command
from hostward.cli.problems import UsageProblem

if TYPE_CHECKING:
    from rich.console import RenderableType

app = typer.Typer(help="Change requests: changes made on a Slave, for the Master to implement.", no_args_is_help=True)

MAX_FILE_BYTES = 64 << 20

Reference = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id, from `hostward request list`.")]


class State(StrEnum):
    """Where a request is in its life."""

    on_its_way = "on-its-way"
    waiting = "waiting"
    implemented = "implemented"
    rejected = "rejected"
    withdrawn = "withdrawn"
    replaced = "replaced"


@client_command(app, "list")
def list_requests(call: Call, state: Annotated[State | None, typer.Option("--state")] = None) -> None:
    """List change requests, the newest first."""
    from hostward.cli.output import moment, table

    answer = call.api.get("change-requests", {"state": state.value if state else None})
    items = answer.get("items") or []
    rows = [(r["id"], _state_words(r), r["summary"], _who(r), moment(r["submitted_at"])) for r in items]
    total = answer.get("total", 0)
    more = [f"\n… and {total - len(items):,} older ones."] if total > len(items) else []
    call.show(answer, table(("Request", "State", "What", "By", "Made (UTC)"), rows), *more)


@client_command(app, "show")
def show(call: Call, request: Reference) -> None:
    """Show a request: each field as it was, as it is now and as it would be, and what stands against it."""
    answer = call.api.get(_path(request))
    call.show(answer, *_detail(answer))


@client_command(app, "implement")
def implement(
    call: Call,
    request: Reference,
    force: Annotated[
        bool, typer.Option("--force", help="Also over what others have changed since the request was made.")
    ] = False,
) -> None:
    """On the Master: make the change."""
    _show_decided(call, "Implemented", call.api.post(f"{_path(request)}/implement", {"force": force}))


@client_command(app, "reject")
def reject(
    call: Call, request: Reference, reason: Annotated[str, typer.Option("--reason", help="For who made the request.")]
) -> None:
    """On the Master: don't make the change."""
    _show_decided(call, "Rejected", call.api.post(f"{_path(request)}/reject", {"reason": reason}))


@client_command(app, "withdraw")
def withdraw(call: Call, request: Reference) -> None:
    """Take a request back, where it was made or on the Master."""
    _show_decided(call, "Withdrawn", call.api.post(f"{_path(request)}/withdraw"))


@client_command(app, "edit")
def edit(
    call: Call,
    request: Reference,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A field as it shall be, text or JSON; repeatable."),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            metavar="FILE",
            help="The elements as they shall be, as JSON: a list of {kind, id, wanted}; - is standard input.",
        ),
    ] = None,
) -> None:
    """Resubmit a request, based on what is there now; with --set or --file, edited. The new request replaces the old
    one. --set is for requests that change one element."""
    if set_ and file:
        raise UsageProblem("Both --set and --file are given.", remedy="Use one of them.")
    body: dict[str, Any] = {}
    if file is not None:
        body["elements"] = _elements_from(file)
    elif set_:
        body["elements"] = [_edited(call.api.get(_path(request)), set_)]
    _show_decided(call, "Resubmitted", call.api.put(_path(request), body))


def submitted_words(answer: Mapping[str, Any]) -> str | None:
    """What is said of a write that a Slave submitted to its Master; None for one that was made."""
    request = answer.get("request")
    if not isinstance(request, Mapping) or "revision" in answer:
        return None
    return f"Submitted to the Master as request {request.get('id')}: {request.get('summary')}."


def value_words(value: object) -> str:
    """A field's value in a list of differences."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)


def _path(request: str) -> str:
    return f"change-requests/{quote(request, safe='')}"


def _show_decided(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    request = answer.get("request") or {}
    where = replicated_words(answer) if "revision" in answer else "on its way to the Master"
    call.show(answer, f"{verb}: request {request.get('id')}, {request.get('summary')}: {where}.")


def _state_words(request: Mapping[str, Any]) -> str:
    """The state, and what of the request is still on its way."""
    state, carrying = request["state"], request.get("carrying")
    return state if not carrying or state == "on-its-way" else f"{state} ({carrying} on its way)"


def _who(request: Mapping[str, Any]) -> str:
    """The author is the word of the server where the request was made."""
    return f"{request['author']}, says {request['origin_name']}"


def _detail(request: Mapping[str, Any]) -> Iterator[RenderableType | str]:
    from hostward.cli.output import facts, moment, table

    decided = f"by {request['decided_by']}, {moment(request['decided_at'])}" if request["decided_by"] else ""
    if request["decided_revision"]:
        decided += f", revision {request['decided_revision']}"
    yield facts(
        [
            ("Request", request["id"]),
            ("What", request["summary"]),
            ("State", _state_words(request)),
            ("Decided", decided),
            ("Reason", request["reason"]),
            ("By", _who(request)),
            ("Made", f"{moment(request['submitted_at'])}, at revision {request['revision']}"),
            ("Class", request["class"]),
            ("Left behind by a promotion", request["set_aside"]),
            ("Replaces", request["replaces"]),
            ("Not carried because", request["not_carried_because"]),
        ]
    )
    rows = [
        (change["label"], f["field"], value_words(f["base"]), value_words(f["now"]), value_words(f["wanted"]))
        for change in request["changes"]
        for f in change["fields"]
    ]
    if rows:
        yield ""
        yield table(("Element", "Field", "Was", "Is now", "Would be"), rows)
    if len(request["changes"]) < request["elements"]:
        yield f"… and {request['elements'] - len(request['changes']):,} more elements."
    for conflict in request["conflicts"]:
        yield f"Conflict: {conflict['element']}: {conflict['problem']}"


def _edited(request: Mapping[str, Any], fields: list[str]) -> dict[str, Any]:
    """The one element of a request, with fields as they shall be. Raises UsageProblem."""
    if len(request["changes"]) != 1 or request["changes"][0]["wanted"] is None:
        raise UsageProblem(
            "--set is for a request that changes one element.", remedy="Give the elements with --file instead."
        )
    (change,) = request["changes"]
    wanted = dict(change["wanted"])
    for text in fields:
        name, separator, value = text.partition("=")
        if not separator or name not in wanted:
            raise UsageProblem(f"“{text}” sets no field.", remedy=f"Write FIELD=VALUE with one of {', '.join(wanted)}.")
        wanted[name] = value if isinstance(wanted[name], str) else _parsed(value)
    return {"kind": change["kind"], "id": change["id"], "wanted": wanted}


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _elements_from(file: Path) -> Any:
    try:
        if str(file) == "-":
            return json.loads(sys.stdin.buffer.read(MAX_FILE_BYTES))
        with file.open("rb") as opened:
            return json.loads(opened.read(MAX_FILE_BYTES))
    except (OSError, ValueError) as error:
        raise UsageProblem(f"{file} can't be read as JSON: {error}.", remedy="Give a list of elements.") from error
