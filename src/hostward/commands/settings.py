"""Settings: list and set."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hostward.commands.services import Actor, Services
from hostward.commands.writing import ANY_ETAG, Done, Submitted, write
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import InvalidInput, PreconditionFailed
from hostward.domain.settings import (
    CONCURRENCY_LOCK_TIMEOUT,
    KIND,
    OWN_PREFIX,
    SETTINGS,
    Scope,
    Setting,
    Value,
    body_of,
    declared,
    own_value,
    replicated_number,
    replicated_value,
)
from hostward.registry.group import Reader

ETAG_CHARACTERS: Final = 32


@dataclass(frozen=True, slots=True)
class SettingNow:
    """A setting with its value."""

    setting: Setting
    value: Value


async def list_settings(services: Services) -> list[SettingNow]:
    """All, in the order of their declaration."""

    def read() -> list[SettingNow]:
        with services.group.read() as reader:
            return _list(services, reader)

    return await asyncio.to_thread(read)


def settings_etag(settings: Iterable[SettingNow]) -> str:
    """Names the values that these have."""
    said = canonical({"values": {s.setting.name: s.value for s in settings}})
    return hashlib.sha256(said).hexdigest()[:ETAG_CHARACTERS]


async def set_settings(
    services: Services, actor: Actor, values: Mapping[str, Any], *, if_match: Sequence[str] | None = None
) -> Done | Submitted:
    """Set some; None sets one back to its default. Those of this server alone count at once; the replicated ones are
    one change, on a Slave one change request. `if_match` names the values that those that are given had, or all
    settings, when they were read. Raises NotFound, InvalidInput, PreconditionFailed: then nothing was changed."""
    if not values:
        raise InvalidInput("No setting is given.", remedy="Give its name and value; GET settings lists them.")
    wanted = {declared(name): value for name, value in values.items()}
    checked = {s: None if value is None else s.check(value) for s, value in wanted.items()}

    def decide(reader: Reader) -> Sequence[Operation]:
        _check_etag(_list(services, reader), checked, if_match)
        return [_operation(s, value) for s, value in checked.items() if s.scope is Scope.REPLICATED]

    shown = ", ".join(f"{s.name}={_words(s.default if value is None else value)}" for s, value in checked.items())
    done = await write(services, actor, "settings-changed", decide, settings=shown)
    own = {OWN_PREFIX + s.name: value for s, value in checked.items() if s.scope is Scope.SERVER}
    if own:
        await asyncio.to_thread(_set_own, services, own)
    return done


def _set_own(services: Services, values: Mapping[str, Value | None]) -> None:
    services.server.update(**values)
    services.log.apply(services.server)


def lock_timeout_minutes(services: Services) -> int:
    """The Concurrency Lock Timeout. Quick."""
    with services.group.read() as reader:
        return replicated_number(reader, CONCURRENCY_LOCK_TIMEOUT)


def _words(value: Value) -> str:
    return " ".join(value) if isinstance(value, list) else str(value)


def _operation(setting: Setting, value: Value | None) -> Operation:
    if value is None or value == setting.default:
        return Delete(KIND, setting.name)
    return Put(KIND, setting.name, canonical(body_of(value)))


def _list(services: Services, reader: Reader) -> list[SettingNow]:
    return [SettingNow(s, _value(services, reader, s)) for s in SETTINGS.values()]


def _check_etag(now: list[SettingNow], given: Collection[Setting], allowed: Sequence[str] | None) -> None:
    current = settings_etag(now)
    if allowed is None or {ANY_ETAG, current, settings_etag(s for s in now if s.setting in given)} & set(allowed):
        return
    raise PreconditionFailed(
        "Settings were changed by somebody else since they were read; nothing was changed.",
        remedy="Read them again, make the change in what is there now, and send it with the new ETag.",
        current=current,
    )


def _value(services: Services, reader: Reader, setting: Setting) -> Value:
    if setting.scope is Scope.REPLICATED:
        return replicated_value(reader, setting)
    return own_value(services.server, setting)
