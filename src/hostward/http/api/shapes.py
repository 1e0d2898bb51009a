"""The shapes of answers, for the API's description. What is written is made elsewhere, without going through these."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hostward.domain.sessions import SessionType
from hostward.http.requests import Shown


class Replicated(Shown):
    have: int
    """Servers that hold the change fsynced in their registry, this one included."""
    of: int
    """Servers that there are."""
    confirmed: bool
    """At least one further server has it: no single machine's loss can undo it."""


class SessionFields(Shown):
    name: str = Field(min_length=1, max_length=128)
    """Unique, whatever the case."""
    type: SessionType
    host: str
    """A host name or an IP address."""
    port: int = Field(default=992, ge=1, le=65535)
    """The type's usual one, unless given."""
    tls: bool = True
    """Off for SSH, which encrypts by itself."""
    lu: str = ""
    """Logical unit or device name (IBM)."""
    model: str = ""
    """Terminal model, such as 3279-4-E (IBM)."""
    code_page: str = ""
    """EBCDIC code page, such as 1147 (IBM)."""
    groups: list[str] = Field(default_factory=list)
    comment: str = ""


class SessionEdit(SessionFields):
    name: str = ""
    type: SessionType = SessionType.IBM_3270
    host: str = ""


class Session(SessionFields):
    id: str
    etag: str
    revision: int
    """The revision of its last change."""


class SessionPage(Shown):
    items: list[Session]
    total: int
    page: int
    per_page: int


class SessionWritten(Shown):
    session: Session
    revision: int
    """This write's; the current one, where it changed nothing."""
    replicated: Replicated


class SessionDeleted(Shown):
    id: str
    revision: int
    replicated: Replicated


class SessionsChanged(Shown):
    sessions: int
    """How many were changed or deleted."""
    revision: int
    replicated: Replicated


class RowShown(Shown):
    name: str
    new: bool
    changed: list[str]
    """The fields that differ; empty for a new session."""


class MistakeShown(Shown):
    row: int | None
    field: str
    problem: str
    remedy: str


class Imported(Shown):
    imported: int
    """New sessions."""
    updated: int
    unchanged: int
    skipped: int
    """Rows with mistakes, left out because skip_invalid asked for it."""
    revision: int
    replicated: Replicated | None
    """Null for a dry run."""
    mistakes: list[MistakeShown]
    notes: list[MistakeShown]
    """What of an emulator's file a session has no place for."""
    first: list[RowShown]
    """Of a dry run: the first 100 sessions that it would create or change."""
    locked: list[str]
    """Of a dry run: who edits sessions that it would change, in sentences."""


class ChangeRequest(Shown):
    id: str
    summary: str
    state: str
    """on-its-way, waiting, implemented, rejected, withdrawn or replaced"""
    author: str
    """Who asked for it, as the server where it was made says."""
    origin: str
    """The id of the server where it was made; it is proved."""
    origin_name: str
    submitted_at: str
    """As the server where it was made says."""
    received_at: str
    """When the Master took it in; empty while it is on its way."""
    class_: str = Field(alias="class")
    """configuration: as the setting change-requests says; security: always waits"""
    elements: int
    """How many elements it would change."""
    size_bytes: int
    wanted_bytes: int
    """How large its elements would be."""
    revision: int
    """Of the registry where it was made."""
    set_aside: bool
    """It is a change that a promotion left behind."""
    replaces: str
    """The id of the request that it replaces."""
    decided_by: str
    decided_at: str
    decided_revision: int
    """The revision that implemented it, or 0."""
    reason: str
    """Why it was rejected; or why it waits where the group's policy would let it through."""
    carrying: str
    """What is on its way to the Master: submission, withdrawal, replacement or nothing."""
    not_carried_because: str


class ChangeRequests(Shown):
    items: list[ChangeRequest]
    """Newest first."""
    total: int


class FieldShown(Shown):
    field: str
    base: Any
    """Where the request was made."""
    now: Any
    wanted: Any


class ElementShown(Shown):
    kind: str
    id: str
    label: str
    wanted: dict[str, Any] | None
    """As it would be; null where it would be deleted, empty where it is secret."""
    fields: list[FieldShown]
    """Those that the request would change, or that others have changed since."""


class ConflictShown(Shown):
    element: str
    code: str
    """changed, gone, there, unknown (these can be forced), refers, name-taken or invalid"""
    problem: str


class ChangeRequestDetail(ChangeRequest):
    changes: list[ElementShown]
    """The first 100."""
    conflicts: list[ConflictShown]
    """What stands against implementing it at this moment."""


class Submitted(Shown):
    request: ChangeRequest


class RequestDecided(Shown):
    request: ChangeRequest
    revision: int
    replicated: Replicated


class LoggedIn(Shown):
    token: str
    """Send it as Authorization: Bearer TOKEN."""
    expires_at: str
    """12 hours after its last use."""
    user: str
    ticket: str = ""
    """Of a login at a desk: for POST login/exchange on the group's other servers. Empty where there are none, or the
    account is this server's own."""


class Ticket(Shown):
    ticket: str
    """Empty as at the login."""


class DeskServer(Shown):
    server: str
    """Its id."""
    name: str
    url: str
    """With the servlet context."""
    certificate: str
    """PEM: the certificate to believe there."""


class DeskServers(Shown):
    group: str
    items: list[DeskServer]


class TokenShown(Shown):
    id: str
    kind: str
    """login, console, program or desk"""
    user: str
    name: str
    created_at: str
    expires_at: str
    last_used_at: str | None


class TokenMade(TokenShown):
    token: str
    """The token itself; it is shown this once."""


class Tokens(Shown):
    items: list[TokenShown]


class Me(Shown):
    user: str
    token: TokenShown


class LoginsEnded(Shown):
    logins_ended: int
    """Logins of this user that are no longer valid; with them its tokens for programs, where they were to end too."""


class Certificate(Shown):
    friendly_name: str
    fingerprint: str
    """SHA-256."""
    subject: str
    issuer: str
    server: str
    """The server's id; empty where it isn't a Hostward server's."""
    not_before: str
    not_after: str
    expired: bool
    expiring_soon: bool
    """Within the days that the setting certificate-warning says."""
    own: bool
    source: str
    """Who brought it in: own, administrator, join code, group (its server is a member), or browsers."""
    pem: str
    names: list[str]
    """The host names and addresses that it is for."""
    self_signed: bool


class Certificates(Shown):
    items: list[Certificate]


class Fetched(Shown):
    fingerprint: str
    """SHA-256."""
    subject: str
    issuer: str
    server: str
    not_before: str
    not_after: str
    imported: bool


class Confirmation(Shown):
    server: str
    server_name: str
    confirmed: bool
    """It trusts the present certificate."""


class OwnCertificate(Certificate):
    renewals: int
    """How often it was renewed."""
    renewed_at: str | None
    members: list[Confirmation]
    """The group's other servers, since the last renewal."""


class BrowserCertificate(Shown):
    certificate: Certificate | None
    """None: browsers see this server's own."""
    problem: str
    """Why the one that was installed isn't shown; empty where it is, or there is none."""


class CertificateRequest(Shown):
    request_pem: str


class InviteMade(Shown):
    id: str
    code: str
    """The join code itself; it is shown this once."""
    role: str
    expires_at: str


class InviteShown(Shown):
    id: str
    role: str
    author: str
    created_at: str
    expires_at: str
    state: str
    """open, used or expired"""
    used_by: str
    """The server that has used it."""


class Invites(Shown):
    items: list[InviteShown]


class Server(Shown):
    server: str
    server_name: str
    version: str
    certificate_pem: str
    fingerprint: str
    data_dir: str
    host_name: str
    http_port: int
    https_port: int
    context: str


class BackupShown(Shown):
    name: str
    created_at: str
    size_bytes: int
    reason: str


class Backups(Shown):
    items: list[BackupShown]


class Restored(Shown):
    name: str
    kept: str
    """The backup of what was there before."""
    revision: int
    replicated: Replicated


class Health(Shown):
    ok: bool
    reason: str | None = None


class Problem(Shown):
    type: str
    title: str
    status: int
    detail: str
    """What happened."""
    code: str
    """For programs; it doesn't change."""
    remedy: str
    """What to do next."""
    mistakes: list[MistakeShown] | None = None
    consequences: list[str] | None = None
    """What a confirmation would do."""
    plan: str | None = None
    """Names exactly that: sent with the confirmation, nothing else is done."""
    holders: list[str] | None = None
    """Who edits the sessions that are locked."""
    conflicts: list[str] | None = None
    """What stands against implementing a change request."""
    current: str | None = None
    """The ETag now."""
    reason: str | None = None


def answers(shape: Any, description: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """For a route's `responses`."""
    return {status: {"model": shape, "description": description}}


def or_submitted(shape: Any, description: str, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """For the `responses` of a route that changes the replicated configuration."""
    said = "This server is a Slave: the change is submitted to the Master as this request"
    return answers(shape, description, status) | answers(Submitted, said, 202)


def flat(shape: type[Shown]) -> dict[str, Any]:
    """A shape as one JSON schema without references, for a body that the models don't check."""
    schema = shape.model_json_schema()
    parts = schema.pop("$defs", {})
    for name, field in schema["properties"].items():
        if "$ref" in field:
            reference = field.pop("$ref").rpartition("/")[2]
            schema["properties"][name] = {**parts[reference], **field}
    return {**schema, "additionalProperties": False}
