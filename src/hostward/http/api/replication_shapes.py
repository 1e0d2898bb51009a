"""The shapes of what is answered about replication and its jobs, for the API's description."""

from __future__ import annotations

from typing import Any

from hostward.http.requests import Shown


class Place(Shown):
    host: str
    port: int
    context: str


class SlavePlace(Place):
    server_id: str
    joined: bool


class Adapter(Shown):
    name: str
    address: str
    loopback: bool
    up: bool


class JobStep(Shown):
    name: str
    state: str
    started: str
    ended: str
    detail: str


class Job(Shown):
    id: str
    kind: str
    state: str
    """running, done or failed"""
    steps: list[JobStep]
    reason: str
    notices: list[str]
    """What couldn't be done, but needn't be: a server that is down can't be told."""
    progress_percent: int


class Jobs(Shown):
    items: list[Job]


class JobStarted(Shown):
    job: Job


class PassphraseChange(Shown):
    started: str
    author: str
    waiting_for: list[str]
    """The servers that haven't confirmed the new passphrase yet; the old one works until they have."""


class PassphraseChanged(Shown):
    passphrase_change: PassphraseChange | None
    """Null where every server has confirmed it."""


class Claim(Place):
    """A server that was made the Master by force, and isn't followed here without an administrator."""

    server: str
    server_name: str
    epoch: str
    revision: int
    """Its epoch begins after this revision."""
    time: str
    not_asked: list[str]
    """Servers that couldn't be asked for their changes."""
    meaning: str


class Status(Shown):
    server: str
    server_name: str
    role: str
    wanted_role: str
    database_status: str
    """Down, Initializing, Up, or Status unavailable due to registry restart"""
    reason: str
    since: str
    revision: int
    lag_changes: int | None
    """How many changes of the Master this server lacks, as far as it knows; null where it doesn't."""
    hash: str
    digest: str
    epoch: str
    group: str
    protocol: str
    adapter: str
    adapters: list[Adapter]
    master: Place | None
    slaves: list[SlavePlace]
    passphrase_is_default: bool
    passphrase_change: PassphraseChange | None
    """While it is being changed."""
    claim: Claim | None
    removed: str
    """The Master's word that this server isn't in the group any more; empty while it is."""
    warnings: list[str]
    """What an administrator should look at."""
    requests_waiting: int
    """Change requests that wait for an administrator of the Master."""
    requests_on_their_way: int
    """Change requests of this server that the Master hasn't taken in yet."""
    job: Job | None
    version: str


class Node(Shown):
    server: str
    server_name: str
    address: str
    status: str
    state: str
    owns_percent: float | None
    host_id: str
    local_instance: bool
    role: str
    revision: int | None
    lag_changes: int | None
    in_sync: bool
    compared_at: str
    version: str
    passphrase_confirmed: bool
    """False while the passphrase is being changed and this server doesn't have the new one yet."""


class ActShown(Shown):
    label: str
    method: str
    path: str
    """Below /<context>/api/v1/."""
    body: dict[str, Any]
    """What to send; acts that ask for the confirmation need `confirm: true` as well."""
    command: str
    """The command line's way to do the same."""


class FindingShown(Shown):
    code: str
    """Stable; the administrator's guide lists them all."""
    severity: str
    """error, warning or note"""
    subject: str
    """The server or file that it is about."""
    cause: str
    remedy: str
    act: ActShown | None
    """The call that heals it; null where it heals by itself or needs hands."""


class Examined(Shown):
    ok: bool
    """No errors and no warnings."""
    findings: list[FindingShown]
    """The worst first."""


class CheckShown(Shown):
    name: str
    ok: bool | None
    """Null where it wasn't tried."""
    detail: str
    remedy: str


class Tested(Shown):
    ok: bool
    checks: list[CheckShown]
