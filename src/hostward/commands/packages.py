"""Packages: upload, update by the same name, edit, delete, and what somebody gets of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

from hostward.commands.access import packages_of, usable
from hostward.commands.auditing import Act, recorded
from hostward.commands.reading import existing
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.commands.writing import Once, Submitted, check_etag, submitted_before, write, write_act
from hostward.domain.assignments import Of
from hostward.domain.changes import Body, Delete, Operation, Put, canonical, element_hash
from hostward.domain.errors import InvalidInput, Mistake, NotFound, PreconditionFailed
from hostward.domain.inventory import new_session_id
from hostward.domain.packages import KIND, MAX_BYTES, Content, Package, check_package, package_of
from hostward.domain.replicated import Replicated
from hostward.domain.suggestions import shown
from hostward.packages.archive import look_into
from hostward.packages.folder import Incoming
from hostward.registry.group import Element, Reader
from hostward.replication.package_copies import ServerPackages

WRITE_BYTES: Final = 1 << 20
EDITABLE: Final = ("name", "version", "description")


@dataclass(frozen=True, slots=True)
class Written:
    """A write's outcome: the package as it is after it (as it was, where it was deleted). `created`: there was none of
    that name before."""

    package: Element
    created: bool
    revision: int
    replicated: Replicated


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, and how many there are on all pages."""

    items: Sequence[Element]
    total: int


@dataclass(frozen=True, slots=True)
class Download:
    """A package's file from `first` on. `file` is it where it is here; else `parts` come from another server."""

    package: Package
    first: int
    count: int
    file: BinaryIO | None
    parts: AsyncIterator[bytes] | None


async def list_packages(services: Services, q: str, *, page: int, per_page: int) -> Page:
    """By name. Raises InvalidInput."""

    def read() -> Page:
        with services.group.read() as reader:
            ids, total = reader.search_packages(q, page=page, per_page=per_page)
            return Page([e for e in (reader.get(KIND, i) for i in ids) if e], total)

    return await asyncio.to_thread(read)


def read_package(services: Services, package_id: str) -> Element:
    """Raises NotFound."""
    with services.group.read() as reader:
        return existing(reader, Of.PACKAGE, package_id)


def package_named(services: Services, name: str) -> Element | None:
    """Whatever the case."""
    with services.group.read() as reader:
        return reader.find_by_name(KIND, name)


async def server_states(services: Services) -> Sequence[ServerPackages]:
    """Which servers have which files, this one first."""
    return await services.package_copies.of_group()


async def upload(
    services: Services,
    actor: Actor,
    fields: Mapping[str, Any],
    parts: AsyncIterator[bytes],
    *,
    expected_bytes: int = 0,
    if_match: str | None = None,
    key: str | None = None,
) -> Written | Submitted:
    """A new package, or another file for the one of that name. `fields` are name, version and description; of an update
    those that aren't given stay. Nothing changes unless all has come, and can be unpacked. `if_match`: the ETag that
    the one of that name must have, empty where there must be none. Raises InvalidInput, RegistryError,
    PreconditionFailed."""
    async with recorded(services, actor, "package-uploaded", name=fields.get("name")) as act:
        _check_fields(services, fields, if_match)
        if expected_bytes > MAX_BYTES:
            raise _too_large()
        incoming = await asyncio.to_thread(services.packages.new_upload, expected_bytes)
        try:
            await _receive(incoming, parts)
            content = await asyncio.to_thread(incoming.end)
            if not content.size:
                raise InvalidInput("No file came.", remedy="Send a .zip file.", code="package-broken")
            looked = await asyncio.to_thread(look_into, incoming.path)
            once = Once.of(actor, key, "package-upload", [dict(fields), content.sha256])
            with services.packages.holding(content):
                decide = _Uploaded(fields, content, looked.installers, incoming, once, if_match)
                return await _written(services, actor, act, decide, once)
        finally:
            await asyncio.to_thread(incoming.close)


async def edit(
    services: Services, actor: Actor, package_id: str, fields: Mapping[str, Any], *, if_match: Sequence[str] | None
) -> Written | Submitted:
    """Name, version, description; what isn't given stays. Raises NotFound, PreconditionFailed, InvalidInput,
    Conflict."""

    def decide(reader: Reader) -> Sequence[Operation]:
        before = existing(reader, Of.PACKAGE, package_id)
        check_etag(before, if_match)
        body = check_package({**before.json(), **_only(fields)})
        return [Put(KIND, package_id, canonical(body))]

    done = await write(services, actor, "package-edited", decide, package=package_id)
    if isinstance(done, Submitted):
        return done
    return Written(read_package(services, package_id), False, done.committed.revision, done.replicated)


async def delete(
    services: Services, actor: Actor, package_id: str, *, if_match: Sequence[str] | None, confirmed: bool
) -> Written | Submitted:
    """Raises NotFound, PreconditionFailed, ConfirmationRequired."""
    found = read_package(services, package_id)
    name = found.json()["name"]
    confirm(
        confirmed,
        f"Deleting the package {name}",
        [
            "Nobody can download it any more; what is installed at a user's desk stays there.",
            "Its file is removed from every server. This can't be undone: it would have to be uploaded again.",
        ],
    )

    def decide(reader: Reader) -> Sequence[Operation]:
        check_etag(existing(reader, Of.PACKAGE, package_id), if_match)
        return [Delete(KIND, package_id)]

    done = await write(services, actor, "package-deleted", decide, package=package_id, name=name)
    if isinstance(done, Submitted):
        return done
    return Written(found, False, done.committed.revision, done.replicated)


async def own_packages(services: Services, actor: Actor, q: str, *, page: int, per_page: int) -> Page:
    """What the actor may have: administrators of this server all. Raises InvalidInput."""
    if not actor.account:
        return await list_packages(services, q, page=page, per_page=per_page)
    found = await packages_of(services, actor.account, q, page=page, per_page=per_page)
    return Page(found.items, found.total)


First = Callable[[Package], int]
"""Which byte of the package's file is wanted first. It may raise."""


async def download(services: Services, package_id: str, *, first: First) -> Download:
    """For administrators. Raises NotFound, Unavailable where no server that can be reached has the file."""
    return await _download(services, read_package(services, package_id), first)


async def own_download(services: Services, actor: Actor, package_id: str, *, first: First) -> Download:
    """For the user who gets it, which is recorded. Raises NotFound where it isn't assigned to them, Unavailable."""
    async with recorded(services, actor, "package-downloaded", package=package_id) as act:
        found = usable(services, actor, Of.PACKAGE, package_id)
        body = found.json()
        act.about |= {"name": body["name"], "version": body["version"]}
        return await _download(services, found, first)


async def _download(services: Services, found: Element, wanted: First) -> Download:
    package = package_of(found.id, found.json())
    first = wanted(package)
    count = package.content.size - first
    try:
        file = await asyncio.to_thread(services.packages.open, package.content)
    except NotFound:
        parts = await services.package_copies.streamed(package, first, count)
        return Download(package, first, count, None, parts)
    return Download(package, first, count, file, None)


async def _receive(incoming: Incoming, parts: AsyncIterator[bytes]) -> None:
    """Raises InvalidInput, RegistryError."""
    held = bytearray()
    async for part in parts:
        held += part
        if incoming.size + len(held) > MAX_BYTES:
            raise _too_large()
        if len(held) >= WRITE_BYTES:
            await asyncio.to_thread(incoming.write, bytes(held))
            held.clear()
    if held:
        await asyncio.to_thread(incoming.write, bytes(held))


class _Uploaded:
    """Decides what an upload makes: the id of the package of that name, or a new one's."""

    def __init__(
        self,
        fields: Mapping[str, Any],
        content: Content,
        installers: Sequence[str],
        incoming: Incoming,
        once: Once | None,
        if_match: str | None,
    ) -> None:
        self._given, self._content, self._installers = _only(fields), content, installers
        self._incoming, self._if_match = incoming, if_match
        self.new_id = once.id() if once else new_session_id()
        self._put: str = ""
        self.created = False
        self.id, self.body = "", Body()

    def there(self, services: Services) -> Element:
        """The package of that name, as it is now. Raises NotFound."""
        name = str(self._given.get("name", ""))
        found = package_named(services, name)
        if found is None:
            raise NotFound(f"There is no package named {shown(name)} any more.", remedy="Upload it again.")
        return found

    def __call__(self, reader: Reader) -> Sequence[Operation]:
        there = reader.find_by_name(KIND, str(self._given.get("name", "")))
        _check_version(there, self._if_match)
        self.created, self.id = there is None, there.id if there else self.new_id
        before = {k: v for k, v in there.json().items() if k in EDITABLE} if there else {}
        given = self._given | ({"name": before["name"]} if there else {})
        c = self._content
        sums = {"size": c.size, "sha256": c.sha256, "pieces": c.pieces, "installers": list(self._installers)}
        self.body = check_package({**before, **given, **sums})
        package = package_of(self.id, self.body)
        if self._put != package.file_name:
            # Before anybody can know of it: whoever does, finds the file.
            self._incoming.keep(package)
            self._put = package.file_name
        return [Put(KIND, self.id, canonical(self.body))]


async def _written(
    services: Services, actor: Actor, act: Act, decide: _Uploaded, once: Once | None
) -> Written | Submitted:
    done = submitted_before(services, once) or await write_act(services, actor, act, decide, once=once)
    if isinstance(done, Submitted):
        return done
    revision = done.committed.revision
    if done.committed.repeated:  # nothing was decided: the request's first one was
        there = decide.there(services)
        return Written(there, there.id == decide.new_id, revision, done.replicated)
    raw = canonical(decide.body)
    # Made from what was decided, not read again: another change may have followed by now.
    element = Element(KIND, decide.id, raw, element_hash(KIND, decide.id, raw), revision)
    return Written(element, decide.created, revision, done.replicated)


def _only(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in fields.items() if v is not None}


def _check_fields(services: Services, fields: Mapping[str, Any], if_match: str | None) -> None:
    """Before the file comes. Raises InvalidInput, PreconditionFailed."""
    placeholder = {"size": 1, "sha256": "0" * 64, "pieces": "0" * 64}
    check_package({**_only(fields), **placeholder})
    _check_version(package_named(services, str(fields.get("name", ""))), if_match)


def _check_version(there: Element | None, if_match: str | None) -> None:
    if if_match is not None and if_match != (there.etag if there else ""):
        raise PreconditionFailed(
            "The package was changed by somebody else since it was read; nothing was changed."
            if there
            else "There is no such package any more; nothing was changed.",
            remedy="Look at it again, and upload the file again.",
            current=there.etag if there else "",
        )


def _too_large() -> InvalidInput:
    problem = f"The file is larger than {MAX_BYTES >> 30} GiB."
    return InvalidInput(
        problem, remedy="Make several packages of it.", code="package-too-large",
        mistakes=[Mistake("file", problem, "Make several packages of it.")],
    )  # fmt: skip
