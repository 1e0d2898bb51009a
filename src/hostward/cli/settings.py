"""`hostward settings …`: settings with their values."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from hostward.cli.change_requests import submitted_words
from hostward.cli.options import Call, client_command
from hostward.cli.problems import UsageProblem

app = typer.Typer(help="Settings, of the group and of this server alone.", no_args_is_help=True)


@client_command(app, "list")
def list_settings(call: Call) -> None:
    """List settings, with their values and choices."""
    from hostward.cli.output import table

    answer = call.api.get("settings")
    rows = [(s["name"], s["label"], _shown(s["value"]), _values(s), s["scope"]) for s in answer.get("items") or []]
    call.show(answer, table(("Name", "What", "Value", "What it may be", "Scope"), rows))


@client_command(app, "set")
def set_(
    call: Call,
    values: Annotated[
        list[str], typer.Argument(metavar="NAME=VALUE", help="Without a value: the default again. Lists: a,b.")
    ],
) -> None:
    """Change settings."""
    from hostward.cli.output import replicated_words

    wanted: dict[str, str | None] = {}
    for text in values:
        name, separator, value = text.partition("=")
        if not separator:
            raise UsageProblem(f"“{text}” sets nothing.", remedy="Write NAME=VALUE; see `hostward settings list`.")
        wanted[name] = value or None
    answer = call.api.patch("settings", wanted)
    call.show(answer, submitted_words(answer) or f"Set {', '.join(wanted)}: {replicated_words(answer)}.")


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _values(setting: dict[str, Any]) -> list[str]:
    """What it may be."""
    whole = setting.get("whole")
    if whole:
        return [f"{whole['least']} to {whole['most']} {whole['unit']}"]
    if text := setting.get("text"):
        return [f"at most {text['many']} of them"] if text["many"] else ["text"]
    return [f"{c['value']}: {c['label']}" for c in setting["choices"]]
