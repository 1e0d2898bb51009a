"""The Credential Store of this server alone: list, set, delete, and its passphrase. Secrets are never shown again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hostward.commands.auditing import recorded
from hostward.commands.replication import confirm
from hostward.commands.services import Actor, Services
from hostward.domain.credentials import Credential, check_credential
from hostward.domain.directories import KIND, directory_of
from hostward.domain.errors import Conflict
from hostward.domain.suggestions import listed


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry, and the names of the directories that are searched with it."""

    credential: Credential
    used_by: Sequence[str]


def list_credentials(services: Services) -> list[Entry]:
    """By name."""
    used: dict[str, list[str]] = {}
    with services.group.read() as reader:
        for element in reader.list(KIND):
            directory = directory_of(element.id, element.json())
            used.setdefault(directory.credential, []).append(directory.name)
    return [Entry(c, used.get(c.name, ())) for c in services.credentials.list()]


async def put_credential(services: Services, actor: Actor, given: Mapping[str, Any]) -> bool:
    """Make the entry of that name, or replace its user and secret; whether it is new. Raises InvalidInput, Conflict."""
    body = check_credential(given)
    async with recorded(services, actor, "credential-set", name=body["name"]):
        return await asyncio.to_thread(services.credentials.put, body["name"], body["user"], body["secret"])


async def delete_credential(services: Services, actor: Actor, name: str) -> None:
    """Raises NotFound, and Conflict while a directory is searched with it."""
    async with recorded(services, actor, "credential-deleted", name=name):
        entry = next((e for e in list_credentials(services) if e.credential.name == name), None)
        if entry is not None and entry.used_by:
            raise Conflict(
                f"The directory {listed(entry.used_by)} is searched with it.",
                remedy="Choose another entry there first.",
                code="credential-used",
            )
        await asyncio.to_thread(services.credentials.delete, name)


async def open_store(services: Services, actor: Actor, passphrase: str) -> None:
    """For as long as the server runs. Raises InvalidInput, code "wrong-passphrase"."""
    async with recorded(services, actor, "credential-store-opened"):
        await asyncio.to_thread(services.credentials.open, passphrase)


async def set_passphrase(services: Services, actor: Actor, passphrase: str | None) -> None:
    """The first one or another; None for none. Raises InvalidInput for a poor one, Unavailable while it is closed."""
    store = services.credentials
    async with recorded(services, actor, "credential-store-passphrase", removed=passphrase is None):
        if passphrase is None:
            await asyncio.to_thread(store.remove_passphrase)
        else:
            await asyncio.to_thread(store.set_passphrase, passphrase)


async def reset_store(services: Services, actor: Actor, *, confirmed: bool) -> None:
    """For a passphrase that is lost. Raises ConfirmationRequired."""
    entries = list_credentials(services)
    using = sorted({name for entry in entries for name in entry.used_by})
    tail = f" {listed(using)} can't be searched by this server until theirs is set again." if using else ""
    confirm(
        confirmed,
        "Emptying this server's Credential Store",
        [f"All {len(entries)} entries are deleted on this server, and its passphrase.{tail} This can't be undone."],
    )
    async with recorded(services, actor, "credential-store-emptied", entries=len(entries)):
        await asyncio.to_thread(services.credentials.reset)
