"""The options that every command of a server's client has, taken before and after the sub-command alike.

`hostward --server URL session list` and `hostward session list --server URL` mean the same. Where both are given, the
later one counts; then the environment; then the saved login.
"""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec

import typer

from hostward.cli.logins import Logins, login_file
from hostward.cli.problems import Refused, UsageProblem

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hostward.cli.client import ApiClient

P = ParamSpec("P")

_PANEL = "Server and output"
ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", help="https://HOST:PORT/CONTEXT. [env: HOSTWARD_SERVER]", rich_help_panel=_PANEL
    ),
]
TokenOption = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="Better: the environment's HOSTWARD_TOKEN.", rich_help_panel=_PANEL),
]
InsecureOption = Annotated[
    bool,
    typer.Option("--insecure", help="Accept any certificate. [env: HOSTWARD_INSECURE]", rich_help_panel=_PANEL),
]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON instead of tables.", rich_help_panel=_PANEL)]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Answer the confirmation with Yes.")]
PageOption = Annotated[int, typer.Option("--page", min=1)]
PerPageOption = Annotated[int, typer.Option("--per-page", min=1, max=500)]
SortOption = Annotated[str, typer.Option("--sort", help="A column; with - before it, the other way round.")]
TakeOverOption = Annotated[
    bool, typer.Option("--take-over", help="Also where somebody else is editing it (`hostward session locks`).")
]


@dataclass(slots=True)
class Invocation:
    """What was given of the common options so far."""

    server: str | None = None
    token: str | None = None
    insecure: bool = False
    as_json: bool = False

    def take(self, server: str | None, token: str | None, insecure: bool, as_json: bool) -> None:
        """Add what was given at one more place of the command line."""
        self.server = server or self.server
        self.token = token or self.token
        self.insecure = insecure or self.insecure
        self.as_json = as_json or self.as_json


@dataclass(frozen=True, slots=True)
class Call:
    """One run of a client command: the server's API, and where its answer goes."""

    api: ApiClient
    as_json: bool

    def show(self, answer: object, *rendered: RenderableType | str) -> None:
        """Print the answer for programs, or what was rendered from it for people."""
        from hostward.cli import output

        if self.as_json:
            output.print_json(answer)
        else:
            output.show(*rendered)

    def confirmed(self, method: str, path: str, body: Mapping[str, Any], *, yes: bool) -> Any:
        """Send what needs the "Settings update" confirmation: asks the person, unless `yes`."""
        if yes:
            body = {**body, "confirm": True}
        return self.api.confirmed(method, path, body, confirm_settings_update)


def over(path: str, take_over: bool) -> str:
    """The path, in spite of others' locks where that is said."""
    return f"{path}?take_over=true" if take_over else path


def confirm_settings_update(refused: Refused) -> bool:
    """Show what Yes would do and ask. Raises the problem as it is where nobody can be asked."""
    from hostward.cli.output import error_console, plain

    if not (os.isatty(0) and os.isatty(2)):
        refused.remedy = "Read what it would do, then run the same command with --yes."
        return False
    console = error_console()
    console.print(plain(f"Settings update: {refused.message}"), style="bold")
    for line in refused.consequences:
        console.print(plain(f"  - {line}"))
    if typer.confirm("Continue?", err=True):
        return True
    raise typer.Exit(1)


def connect(given: Invocation) -> ApiClient:
    """A client for the server that was named, by option, environment or saved login. Raises UsageProblem if none is."""
    from hostward.cli.client import ApiClient, pinned_context, server_url, trusting_context

    logins = Logins.load(login_file())
    named = given.server or os.environ.get("HOSTWARD_SERVER") or logins.current
    if not named:
        raise UsageProblem(
            "No server is named.",
            remedy="Give --server https://HOST:PORT/CONTEXT, set HOSTWARD_SERVER, or run `hostward login URL`.",
        )
    url = server_url(named)
    saved = logins.servers.get(url)
    token = given.token or os.environ.get("HOSTWARD_TOKEN") or (saved.token if saved else None)
    insecure = given.insecure or is_set("HOSTWARD_INSECURE") or bool(saved and saved.insecure)
    if insecure:
        return ApiClient(url, token=token, verify=trusting_context())
    if saved is not None and saved.certificate:
        return ApiClient(url, token=token, verify=pinned_context(saved.certificate), pinned=True)
    return ApiClient(url, token=token)


def is_set(variable: str) -> bool:
    """Whether an environment variable says yes (1, true, yes, on)."""
    return os.environ.get(variable, "").strip().lower() in ("1", "true", "yes", "on")


def client_command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Call, P], None]], Callable[Concatenate[Call, P], None]]:
    """Register a command that talks to a server: its function gets a Call first, then its own options; the common
    options are added to them."""

    def register(function: Callable[Concatenate[Call, P], None]) -> Callable[Concatenate[Call, P], None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = [
            _keyword("ctx", typer.Context, inspect.Parameter.empty),
            _keyword("common_server", ServerOption, None),
            _keyword("common_token", TokenOption, None),
            _keyword("common_insecure", InsecureOption, False),
            _keyword("common_json", JsonOption, False),
        ]

        invoke: Callable[..., None] = function  # its own options are only known to Typer

        @functools.wraps(function)
        def run(*, ctx: typer.Context, **given: Any) -> None:
            invocation = ctx.ensure_object(Invocation)
            invocation.take(*(given.pop(f"common_{option}") for option in ("server", "token", "insecure", "json")))
            with connect(invocation) as api:
                invoke(Call(api, invocation.as_json), **given)

        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        signature = inspect.Signature([*keywords, *common])
        run.__signature__ = signature  # type: ignore[attr-defined]  # Typer reads a command's options from here
        run.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        app.command(name)(run)
        return function

    return register


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
