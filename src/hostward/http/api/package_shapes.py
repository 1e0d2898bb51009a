"""The shapes of answers about packages, for the API's description."""

from __future__ import annotations

from hostward.http.api.shapes import Replicated
from hostward.http.requests import Shown
from hostward.replication.package_copies import Here


class OwnPackage(Shown):
    id: str
    name: str
    """Unique, whatever the case."""
    version: str
    description: str
    size: int
    """Of its .zip file, in bytes."""
    sha256: str
    """Of its .zip file, hex: compare it before you unpack."""
    installers: list[str]
    """Paths within the .zip of what installs something, such as setup.msi."""
    revision: int


class OwnPackages(Shown):
    items: list[OwnPackage]
    total: int
    page: int
    per_page: int


class Package(OwnPackage):
    file_name: str
    """In each server's folder deploy/packages."""
    etag: str


class PackagePage(Shown):
    items: list[Package]
    total: int
    page: int
    per_page: int


class PackageWritten(Shown):
    package: Package
    created: bool
    """There was none of that name before."""
    revision: int
    replicated: Replicated


class PackageDeleted(Shown):
    id: str
    revision: int
    replicated: Replicated


class PackageHere(Shown):
    state: Here
    bytes: int
    """That are there already."""
    reason: str
    """Why it isn't whole, where that is known."""


class ServerPackages(Shown):
    server: str
    name: str
    packages: dict[str, PackageHere]
    """By the package's id."""
    strays: dict[str, str]
    """Files in its folder that aren't a package's, and what each is."""
    reason: str
    """Why this server doesn't say; empty where it does."""


class ServersPackages(Shown):
    items: list[ServerPackages]
