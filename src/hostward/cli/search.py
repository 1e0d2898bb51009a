"""`hostward search WORDS`: everything that has these words."""

from __future__ import annotations

from typing import Annotated

import typer

from hostward.cli.options import Call, client_command


def register(app: typer.Typer) -> None:
    """Add the command to the top of the tree."""
    client_command(app, "search")(search)


def search(
    call: Call,
    words: Annotated[list[str], typer.Argument(help="Parts of names, hosts, labels: each must be found.")],
    each: Annotated[int, typer.Option(help="At most so many of each kind.")] = 10,
) -> None:
    """Search sessions, servers, certificates, change requests, settings and the console's panels."""
    from hostward.cli.output import table

    answer = call.api.get("search", {"q": " ".join(words), "each": each})
    rows = [(hit["kind"], hit["title"], hit["detail"], hit["id"]) for hit in answer["items"]]
    if not rows:
        call.show(answer, "Nothing has all of these words.")
        return
    more = f"There are more of: {', '.join(answer['more'])}. Ask for them with --each." if answer["more"] else ""
    call.show(answer, table(("Kind", "What", "More of it", "Id"), rows), *([more] if more else []))
