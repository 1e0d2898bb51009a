"""The search over everything: sessions, packages, users, certificates, servers, change requests, settings, panels.

Each word must be found somewhere in what is searched, without regard to case. A kind of thing gives a few hits alone,
and sessions aren't counted, so that it answers while somebody types.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hostward.commands.services import Actor, Services
from hostward.domain import packages, sessions
from hostward.domain.changes import Body
from hostward.domain.panels import (
    AUTHENTICATION,
    CERTIFICATES,
    PACKAGES,
    PANELS,
    REPLICATION,
    REQUESTS,
    SESSIONS,
    Panel,
)
from hostward.domain.people import GROUP_KIND, USER_KIND
from hostward.domain.permissions import ALLOWED, Permission
from hostward.domain.settings import SETTINGS
from hostward.domain.texts import name_key
from hostward.replication.group.members import members

MAX_QUERY: Final = 500
MAX_WORDS: Final = 8
MAX_EACH: Final = 50


class Kind(StrEnum):
    """What was found; in the order in which hits are shown."""

    PANEL = "panel"
    SETTING = "setting"
    SESSION = "session"
    PACKAGE = "package"
    USER = "user"
    USER_GROUP = "user group"
    SERVER = "server"
    REQUEST = "change request"
    CERTIFICATE = "certificate"


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found, and where the console has it: `path` is below the console's own, and empty for what has
    no page there. `id` is what the commands about its kind take."""

    kind: Kind
    id: str
    title: str
    detail: str
    path: str


@dataclass(frozen=True, slots=True)
class Found:
    """The first hits of each kind, and of which kinds there are more."""

    hits: Sequence[Hit]
    more: Sequence[Kind]


async def suggest(services: Services, kind: Kind, q: str, *, count: int) -> Found:
    """At most `count` of one of NAMED: those whose name begins so, then others that have the words of `q`; the first by
    name where it has none. It reads few rows, also of many."""
    hits = await asyncio.to_thread(_elements, services, kind, q[:MAX_QUERY], min(count, MAX_EACH) + 1)
    return Found(hits[:count], [kind] if len(hits) > count else [])


async def search(services: Services, actor: Actor, q: str, *, each: int) -> Found:
    """At most `each` hits of a kind, of what the actor's role lets them look at. No words find the panels."""
    return await asyncio.to_thread(_search, services, ALLOWED[actor.role], q[:MAX_QUERY], min(each, MAX_EACH))


def _search(services: Services, allowed: Collection[Permission], q: str, each: int) -> Found:
    words = name_key(q).split()[:MAX_WORDS]
    panels = [panel for panel in PANELS if panel.reads in allowed]
    if not words:
        return Found([_panel(panel) for panel in panels], [])
    found = {
        Kind.PANEL: _ranked(words, _places(panels)),
        Kind.SETTING: _ranked(words, _settings(panels)),
        **{kind: _elements(services, kind, q, each + 1) for kind in NAMED},
        Kind.SERVER: _ranked(words, _servers(services)),
        Kind.REQUEST: _ranked(words, _requests(services)),
        Kind.CERTIFICATE: _ranked(words, _certificates(services)),
    }
    hits = [hit for kind in found.values() for hit in kind[:each]]
    return Found(hits, [kind for kind, all_of_it in found.items() if len(all_of_it) > each])


Searched = tuple[Hit, str]
"""A hit, and what else is searched than its title and detail."""


def _ranked(words: Sequence[str], searched: Iterable[Searched]) -> list[Hit]:
    """Those that have every word: where a title begins with the first one, then where it has all, then the others."""
    ranked: list[tuple[int, Hit]] = []
    for hit, also in searched:
        title = name_key(hit.title)
        text = f"{title}\n{name_key(hit.detail)}\n{name_key(also)}"
        if all(word in text for word in words):
            rank = 0 if title.startswith(words[0]) else 1 if all(word in title for word in words) else 2
            ranked.append((rank, hit))
    return [hit for _, hit in sorted(ranked, key=lambda item: item[0])]


def _panel(panel: Panel) -> Hit:
    return Hit(Kind.PANEL, panel.path, panel.label, panel.help, panel.path)


def _places(panels: Iterable[Panel]) -> Iterator[Searched]:
    for panel in panels:
        yield _panel(panel), panel.section
        for part in panel.parts:
            yield Hit(Kind.PANEL, part.path, part.label, f"{panel.label}: {part.help}", part.path), ""


def _settings(panels: Iterable[Panel]) -> Iterator[Searched]:
    labels = {place.path: panel.label for panel in panels for place in (panel, *panel.parts)}
    for setting in (s for s in SETTINGS.values() if s.panel in labels):
        also = " ".join([setting.name, *(choice.label for choice in setting.choices)])
        detail = f"{labels[setting.panel]}: {setting.help}"
        yield Hit(Kind.SETTING, setting.name, setting.label, detail, f"{setting.panel}#{setting.name}"), also


def _elements(services: Services, kind: Kind, q: str, limit: int) -> list[Hit]:
    stored, hit = NAMED[kind]
    with services.group.read() as reader:
        return [hit(element.id, element.json()) for element in reader.first_matching(stored, q, limit)]


def _session(id_: str, body: Body) -> Hit:
    return Hit(Kind.SESSION, id_, body["name"], f"{body['type']}, {body['host']}:{body['port']}", f"{SESSIONS}/{id_}")


def _package(id_: str, body: Body) -> Hit:
    said = [body["version"], body["description"]]
    return Hit(Kind.PACKAGE, id_, body["name"], ", ".join(part for part in said if part), f"{PACKAGES}/{id_}")


def _user(id_: str, body: Body) -> Hit:
    said = [body.get("full_name"), body.get("role"), "disabled" if body.get("disabled") else ""]
    return Hit(Kind.USER, id_, body["name"], ", ".join(part for part in said if part), f"{AUTHENTICATION}/users/{id_}")


def _group(id_: str, body: Body) -> Hit:
    return Hit(Kind.USER_GROUP, id_, body["name"], body.get("comment", ""), f"{AUTHENTICATION}/groups/{id_}")


NAMED: Final[Mapping[Kind, tuple[str, Callable[[str, Body], Hit]]]] = {
    Kind.SESSION: (sessions.KIND, _session),
    Kind.PACKAGE: (packages.KIND, _package),
    Kind.USER: (USER_KIND, _user),
    Kind.USER_GROUP: (GROUP_KIND, _group),
}
"""What has unique names, however many there are: its kind of element, and what is shown of one."""


def _servers(services: Services) -> Iterator[Searched]:
    """The group's; a Standalone server is alone."""
    with services.group.read() as reader:
        known = [(m.server_id, m.name, m.host, f"{m.address} {m.version}") for m in members(reader)]
    own, s = services.identity.server_id, services.configuration.server
    if all(server_id != own for server_id, *_ in known):
        known.append((own, s.name or s.host_name, s.host_name, ""))
    for server_id, name, host, also in known:
        detail = f"{host}, this server" if server_id == own else host
        yield Hit(Kind.SERVER, server_id, name, detail, f"{REPLICATION}#database-status"), f"{also} {server_id}"


def _requests(services: Services) -> Iterator[Searched]:
    for shown in services.requests.all():
        r = shown.request
        detail = f"{r.state.replace('-', ' ').capitalize()}; by {r.author} on {r.origin_name}"
        yield Hit(Kind.REQUEST, r.id, r.summary, detail, f"{REQUESTS}/{r.id}"), f"{r.reason} {r.decided_by} {r.id}"


def _certificates(services: Services) -> Iterator[Searched]:
    for key, store in services.stores.items():
        for entry in store.entries():
            detail = f"{store.title}: {entry.subject}"
            hit = Hit(Kind.CERTIFICATE, entry.friendly_name, entry.friendly_name, detail, f"{CERTIFICATES}/{key}")
            yield hit, f"{entry.issuer} {entry.fingerprint} {entry.server_id}"
