"""The shapes of answers about directories, for the API's description."""

from __future__ import annotations

from hostward.domain.directories import Security
from hostward.http.api.shapes import Replicated
from hostward.http.requests import Shown


class Directory(Shown):
    name: str
    servers: list[str]
    security: Security
    certificates: str
    credential: str
    user_base: str
    user_filter: str
    name_attribute: str
    full_name_attribute: str
    group_base: str
    group_filter: str
    group_name_attribute: str
    timeout_s: int
    first_login: bool
    etag: str
    revision: int


class Directories(Shown):
    items: list[Directory]


class DirectoryWritten(Shown):
    directory: Directory
    revision: int
    replicated: Replicated


class DirectoryDeleted(Shown):
    name: str
    revision: int
    replicated: Replicated


class Step(Shown):
    name: str
    ok: bool
    said: str
    """What came of it; where it went wrong, what to do next."""


class FoundUser(Shown):
    dn: str
    full_name: str
    groups: list[str]
    """Also those that the user belongs to by way of others."""


class Tested(Shown):
    ok: bool
    steps: list[Step]
    user: FoundUser | None
