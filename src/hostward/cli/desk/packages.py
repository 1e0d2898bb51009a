"""`hostward client packages`, `install`, `uninstall` and `upgrade`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import quote

import typer

from hostward.cli.accounts import PasswordFile
from hostward.cli.desk.servers import Servers, servers_of
from hostward.cli.options import Invocation, JsonOption
from hostward.client.installing import Installations, Installed, Offered, check_offer, installations
from hostward.domain.errors import HostwardError, NotFound

if TYPE_CHECKING:
    from hostward.cli.client import ApiClient

PER_PAGE: Final = 500
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The package's name.")]


def register(app: typer.Typer) -> None:
    app.command("packages")(list_packages)
    app.command("install")(install)
    app.command("uninstall")(uninstall)
    app.command("upgrade")(upgrade)


def list_packages(ctx: typer.Context, password_file: PasswordFile = None, as_json: JsonOption = False) -> None:
    """The packages that you may have, and what is installed here."""
    from hostward.cli.output import print_json, show, table

    invocation = ctx.ensure_object(Invocation)
    invocation.take(None, None, False, as_json)
    offered, here = servers_of(invocation, password_file).ask(_offers), {i.id: i for i in installations().all()}
    if invocation.as_json:
        shown = ("id", "name", "version", "size", "sha256")
        print_json([{**{key: getattr(o, key) for key in shown}, "here": _state(o, here)} for o in offered])
        return
    rows = [(o.name, o.version, f"{o.size / 1e6:,.1f} MB", _state(o, here)) for o in offered]
    ids = {o.id for o in offered}
    rows += [(i.name, i.version, "", "installed; no longer yours") for i in here.values() if i.id not in ids]
    show(table(("Name", "Version", "Size", "Here"), rows))


def install(ctx: typer.Context, name: NameArgument, password_file: PasswordFile = None) -> None:
    """Download a package, compare it with its SHA-256, and unpack it."""
    servers, kept = servers_of(ctx.ensure_object(Invocation), password_file), installations()
    offered = next((o for o in servers.ask(_offers) if o.name.casefold() == name.casefold()), None)
    if offered is None:
        raise NotFound(f"There is no package “{name}” for you.", remedy="`hostward client packages` lists yours.")
    there = kept.of(offered.id)
    if there is not None and there.sha256 == offered.sha256 and Path(there.path).is_dir():
        print(f"“{there.name}” {there.version} is installed already, in {there.path}.")
        return
    _install(servers, kept, offered)


def upgrade(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="All that are installed, unless given.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Install the present files of packages that are installed here."""
    servers, kept = servers_of(ctx.ensure_object(Invocation), password_file), installations()
    here = {i.id: i for i in kept.all() if name is None or i.name.casefold() == name.casefold()}
    if name is not None and not here:
        raise NotFound(f"“{name}” isn't installed here.", remedy="`hostward client packages` shows what is.")
    newer = [o for o in servers.ask(_offers) if o.id in here and here[o.id].sha256 != o.sha256]
    for offered in newer:
        _install(servers, kept, offered)
    if not newer:
        print("Everything is up to date.")


def uninstall(name: NameArgument) -> None:
    """Remove an installed package; files that were changed or added since stay."""
    kept = installations()
    there = next((i for i in kept.all() if i.name.casefold() == name.casefold()), None)
    if there is None:
        raise NotFound(f"“{name}” isn't installed here.", remedy="`hostward client packages` shows what is.")
    left = kept.uninstall(there)
    print(f"Removed “{there.name}”.")
    for path in left:
        print(f"Not removed, because it isn't as it was installed: {path}")


def _install(servers: Servers, kept: Installations, offered: Offered) -> None:
    file = _download(servers, kept, offered)
    installed, changed = kept.install(offered, file)
    print(f"Installed “{installed.name}” {installed.version} in {installed.path}.".replace("  ", " "))
    for path in changed:
        print(f"A file that was changed is kept: {path}")
    for path in offered.installers:
        print(f"Open it to install: {Path(installed.path, *path.split('/'))}")


def _download(servers: Servers, kept: Installations, offered: Offered) -> Path:
    """The whole file; what is there already of it isn't fetched again, on whichever server it goes on."""
    from hostward.cli.progress import Progress

    part = kept.partial(offered)
    path = f"me/packages/{quote(offered.id, safe='')}/file"

    with Progress() as progress:
        progress.step(f"Downloading {offered.name}")

        def fetch(api: ApiClient) -> None:
            have = part.stat().st_size if part.exists() else 0
            if have >= offered.size:
                return
            etag = f'"sha256:{offered.sha256}"'
            with api.resume(path, have, etag) as (goes_on, pieces), part.open("ab" if goes_on else "wb") as out:
                for piece in pieces:
                    out.write(piece)
                    if out.tell() > offered.size:
                        raise HostwardError("The server sent more than the package has. Nothing was installed.")
                    progress.note(f"{100 * out.tell() // max(offered.size, 1)} %")

        servers.ask(fetch)
    return part


def _offers(api: ApiClient) -> list[Offered]:
    found: list[Offered] = []
    page = 1
    while True:
        items = api.get("me/packages", {"page": page, "per_page": PER_PAGE})["items"]
        found += [check_offer(item) for item in items]
        if len(items) < PER_PAGE:
            return found
        page += 1


def _state(offered: Offered, here: dict[str, Installed]) -> str:
    there = here.get(offered.id)
    if there is None:
        return ""
    return "installed" if there.sha256 == offered.sha256 else f"{there.version or 'earlier'}: can be upgraded"
