"""`hostward package …`: files for Windows-based sessions, and which server has them. `hostward my package`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO
from urllib.parse import quote

import typer

from hostward.cli.change_requests import submitted_words
from hostward.cli.files import give_pieces
from hostward.cli.options import Call, PageOption, PerPageOption, YesOption, client_command
from hostward.domain.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from hostward.cli.progress import Progress

app = typer.Typer(help="Packages: .zip files for Windows-based sessions.", no_args_is_help=True)

PackageArgument = Annotated[str, typer.Argument(metavar="PACKAGE", help="The package's name or id.")]
VersionOption = Annotated[str | None, typer.Option("--version")]
DescriptionOption = Annotated[str | None, typer.Option("--description")]
FileArgument = Annotated[
    Path | None, typer.Argument(metavar="FILE", dir_okay=False, help="Standard output, unless given.")
]
WordsArgument = Annotated[list[str] | None, typer.Argument(help="Words to find.")]


@client_command(app, "list")
def list_packages(call: Call, words: WordsArgument = None, page: PageOption = 1, per_page: PerPageOption = 50) -> None:
    """List packages; with words, those that have them."""
    _show_page(call, "packages", words, page, per_page)


@client_command(app, "show")
def show_package(call: Call, package: PackageArgument) -> None:
    """Show one package, and which servers have its file."""
    from hostward.cli.output import facts, table

    found = find(call, package)
    servers = call.api.get("packages/servers")["items"]
    labels = {"sha256": "SHA-256", "file_name": "File"}
    shown = ("name", "version", "description", "size", "sha256", "installers", "file_name", "revision")
    pairs = [(labels.get(name, name.capitalize()), found[name]) for name in shown]
    rows = [(s["name"], *_state(s, found)) for s in servers]
    call.show(found | {"servers": servers}, facts(pairs), "", table(("Server", "File", ""), rows))


@client_command(app, "servers")
def list_servers(call: Call) -> None:
    """Which servers have which packages, and what else lies in their folders."""
    from hostward.cli.output import table

    names = {p["id"]: p["name"] for p in _pages(call)}
    answer = call.api.get("packages/servers")
    rows: list[tuple[object, ...]] = []
    for server in answer["items"]:
        for id_, name in names.items():
            rows.append((server["name"], name, *_state(server, {"id": id_, "size": 0})))
        rows += [(server["name"], file, "not a package", why) for file, why in server["strays"].items()]
    call.show(answer, table(("Server", "Package", "File", ""), rows))


@client_command(app, "upload")
def upload(
    call: Call,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The .zip file.")],
    name: Annotated[str | None, typer.Option("--name", help="The file's name, unless given.")] = None,
    version: VersionOption = None,
    description: DescriptionOption = None,
) -> None:
    """Upload a package; where there is one of that name, its file is replaced."""
    from hostward.cli.output import replicated_words
    from hostward.cli.progress import Progress

    params = {"name": name or file.stem, "version": version, "description": description}
    try:
        with file.open("rb") as opened, Progress() as progress:
            progress.step(f"Uploading {file.name}")
            answer = call.api.upload_file("packages", _Counted(opened, file.stat().st_size, progress), params)
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror}.", remedy="Check its permissions.") from error
    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    verb = "Uploaded" if answer["created"] else "Updated"
    call.show(answer, f"{verb} “{answer['package']['name']}”: {replicated_words(answer)}. The file follows by itself.")


@client_command(app, "edit")
def edit(
    call: Call,
    package: PackageArgument,
    name: Annotated[str | None, typer.Option("--name", help="Another name.")] = None,
    version: VersionOption = None,
    description: DescriptionOption = None,
) -> None:
    """Change a package's name, version or description."""
    given = {"name": name, "version": version, "description": description}
    changes = {k: v for k, v in given.items() if v is not None}
    if not changes:
        raise typer.BadParameter("name at least one of --name, --version and --description")
    found = find(call, package)
    _show_written(call, "Changed", call.api.patch(_path(found), changes, etag=found["etag"]))


@client_command(app, "delete")
def delete(call: Call, package: PackageArgument, yes: YesOption = False) -> None:
    """Delete a package, and its file on every server."""
    found = find(call, package)
    question = f"Delete “{found['name']}”, with its file on every server? It can't be undone."
    if not yes and os.isatty(0) and not typer.confirm(question, err=True):
        raise typer.Exit(1)
    answer = call.api.delete(f"{_path(found)}?confirm=true", etag=found["etag"])
    _show_written(call, f"Deleted “{found['name']}”", answer)


@client_command(app, "download")
def download(call: Call, package: PackageArgument, file: FileArgument = None) -> None:
    """Download a package's file."""
    _download(call, f"{_path(find(call, package))}/file", file)


def register_own(own_app: typer.Typer) -> None:
    """`my packages` and `my package`."""

    @client_command(own_app, "packages")
    def own_packages(
        call: Call, words: WordsArgument = None, page: PageOption = 1, per_page: PerPageOption = 50
    ) -> None:
        """The packages that you may have."""
        _show_page(call, "me/packages", words, page, per_page)

    @client_command(own_app, "package")
    def own_package(call: Call, package: PackageArgument, file: FileArgument = None) -> None:
        """Download one of your packages."""
        found = find(call, package, "me/packages")
        _download(call, f"me/packages/{quote(found['id'], safe='')}/file", file)


def find(call: Call, reference: str, path: str = "packages") -> dict[str, Any]:
    """The package with that name, whatever its case, or id. Raises NotFound."""
    for item in _pages(call, path, q=""):
        if reference == item["id"] or item["name"].casefold() == reference.casefold():
            return item
    raise NotFound(f"There is no package “{reference}”.", remedy="`hostward package list` shows all.")


def _pages(call: Call, path: str = "packages", q: str = "") -> Iterator[dict[str, Any]]:
    page = 1
    while True:
        items = call.api.get(path, {"q": q, "page": page, "per_page": 500})["items"]
        yield from (dict(item) for item in items)
        if len(items) < 500:
            return
        page += 1


def _show_page(call: Call, path: str, words: list[str] | None, page: int, per_page: int) -> None:
    from hostward.cli.output import table

    answer = call.api.get(path, {"q": " ".join(words or []), "page": page, "per_page": per_page})
    items = answer["items"]
    rows = [(p["name"], p["version"], f"{p['size'] / 1e6:,.1f} MB", p["description"]) for p in items]
    call.show(
        answer, table(("Name", "Version", "Size", "Description"), rows), f"\n{len(items):,} of {answer['total']:,}"
    )


def _download(call: Call, path: str, file: Path | None) -> None:
    with call.api.download(path, {}) as pieces:
        give_pieces(file, pieces)


def _show_written(call: Call, verb: str, answer: Mapping[str, Any]) -> None:
    from hostward.cli.output import replicated_words

    if (submitted := submitted_words(answer)) is not None:
        call.show(answer, submitted)
        return
    what = f" “{answer['package']['name']}”" if "package" in answer else ""
    call.show(answer, f"{verb}{what}: {replicated_words(answer)}.")


def _state(server: Mapping[str, Any], package: Mapping[str, Any]) -> tuple[str, str]:
    """Of a package's file on a server, and why."""
    here = server["packages"].get(package["id"])
    if here is None:
        return "unknown", server["reason"]
    if here["state"] == "copying" and package["size"]:
        return f"copying {100 * here['bytes'] // package['size']} %", here["reason"]
    return here["state"], here["reason"]


def _path(package: Mapping[str, Any]) -> str:
    return f"packages/{quote(str(package['id']), safe='')}"


class _Counted:
    """A file that tells how much of it was read."""

    def __init__(self, file: BinaryIO, size: int, progress: Progress) -> None:
        self._file, self._size, self._progress, self._read = file, size, progress, 0

    def fileno(self) -> int:
        return self._file.fileno()

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count)
        self._read += len(data)
        self._progress.note(f"{100 * self._read // max(self._size, 1)} %")
        return data

    def __iter__(self) -> Iterator[bytes]:
        while data := self.read(1 << 16):
            yield data
