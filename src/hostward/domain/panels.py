"""The console's panels and what is on them, declared once: its navigation and the search over everything follow."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from hostward.domain.permissions import Permission


@dataclass(frozen=True, slots=True)
class Place:
    """Somewhere in the console. `path` is below the console's own, with the place on its page after #."""

    label: str
    path: str
    help: str


@dataclass(frozen=True, slots=True)
class Panel(Place):
    """A page of the navigation, under the heading `section`. `parts` are what it has, beside its settings;
    `reads` is what looking at it needs."""

    section: str = ""
    parts: Sequence[Place] = ()
    reads: Permission = Permission.READ


SESSIONS: Final = "/manage/sessions"
PACKAGES: Final = "/manage/packages"
ACCESS: Final = "/assign-access"
GENERAL: Final = "/settings/general"
CERTIFICATES: Final = "/settings/trusted-certificates"
REPLICATION: Final = "/settings/replication"
AUTHENTICATION: Final = "/settings/authentication"
SITEMINDER: Final = f"{AUTHENTICATION}/siteminder"
DIRECTORIES: Final = f"{AUTHENTICATION}/directories"
CREDENTIALS: Final = "/settings/credential-store"
SERVER_CERTIFICATES: Final = "/settings/certificates"
LOGGING: Final = "/settings/logging"
REQUESTS: Final = "/change-requests"
HISTORY: Final = "/history"
AUDIT: Final = "/reports/audit-log"
LAUNCHES: Final = "/reports/launches"
LAST_USE: Final = "/reports/last-use"
LOGINS: Final = "/reports/logins"
WHO_MAY: Final = "/reports/who-may"

CONFIGURE, GROUP, REPORTS = "Configure Settings", "Group", "Run Reports"

PANELS: Final = (
    Panel(
        "Manage Sessions",
        SESSIONS,
        "The terminal sessions that people are given.",
        parts=(
            Place("Add a session", f"{SESSIONS}/new", "One by hand, of any type."),
            Place("Import sessions", f"{SESSIONS}/import", "CSV, JSON, x3270, PuTTY; what it would do is shown first."),
        ),
    ),
    Panel(
        "Manage Packages",
        PACKAGES,
        "Files for Windows-based sessions: upload, update, delete; which server has them.",
        parts=(Place("Upload a package", f"{PACKAGES}/upload", "A .zip file; an update by the same name."),),
    ),
    Panel(
        "Assign Access",
        ACCESS,
        "Who may use which sessions, and why: users, groups, All Users; allowed, denied, until when.",
        parts=(
            Place("Assign sessions", f"{ACCESS}/new", "Allow or deny sessions to users, groups or everyone."),
            Place("Why may somebody use a session?", f"{ACCESS}/why", "All that allows it or denies it."),
        ),
    ),
    Panel("General Settings", GENERAL, "What holds for the whole console.", CONFIGURE),
    Panel(
        "Authentication & Authorization",
        AUTHENTICATION,
        "Users, user groups and roles: who may log in, and what each may do.",
        CONFIGURE,
        (
            Place("Users", f"{AUTHENTICATION}/users", "Add one; disable; Set password; Log out everywhere."),
            Place("Import users", f"{AUTHENTICATION}/users/import", "A JSON file; what it would do is shown first."),
            Place("Directories", DIRECTORIES, "LDAP servers that check passwords; Test login, step by step."),
            Place("User Groups", f"{AUTHENTICATION}/groups", "Who belongs to each: add and remove members."),
            Place("SiteMinder", SITEMINDER, "Users whom a web agent names are logged in without a password."),
        ),
    ),
    Panel(
        "Certificates",
        SERVER_CERTIFICATES,
        "This server's own certificate: download it, renew it, have an authority certify it. This server only.",
        CONFIGURE,
        (Place("Renew", f"{SERVER_CERTIFICATES}#own-title", "A new key and certificate for this server."),),
    ),
    Panel(
        "Trusted Certificates",
        CERTIFICATES,
        "The servers whose certificates are in the list are believed. Certificate Store; Import.",
        CONFIGURE,
        (
            Place("Management and Security Server", f"{CERTIFICATES}/mss", "The Certificate Store for servers."),
            Place("Security Proxy", f"{CERTIFICATES}/security-proxy", "The Certificate Store for Security Proxies."),
        ),
    ),
    Panel(
        "Credential Store",
        CREDENTIALS,
        "User names with their secrets, for what this server reaches. This server only.",
        CONFIGURE,
    ),
    Panel(
        "Replication",
        REPLICATION,
        "Keeps a group of servers the same. Details of each server; Doctor; Test Connection.",
        CONFIGURE,
        (
            Place("Server role", f"{REPLICATION}#role", "Standalone, Master or Slave."),
            Place("Database Status", f"{REPLICATION}#database-status", "Details of each server's node, and Remove."),
            Place("Database Network Adapter", f"{REPLICATION}#adapter", "One whose address the others can reach."),
            Place("Global protocol", f"{REPLICATION}#https", "HTTPS or HTTP for server to server communication."),
            Place("Passphrase", f"{REPLICATION}#passphrase", "The same on all servers of the group."),
            Place("Master Servers", f"{REPLICATION}#master-title", "The one Master of a Slave: Add, Test Connection."),
            Place("Slave Servers", f"{REPLICATION}#slaves-title", "The Slaves of a Master: Add, Test Connection."),
            Place("Join codes", f"{REPLICATION}#codes-title", "Let a new server become a Slave in one step."),
        ),
    ),
    Panel(
        "Logging",
        LOGGING,
        "What this server and its database have logged; level, size and number of the files. This server only.",
        CONFIGURE,
        reads=Permission.AUDIT,
    ),
    Panel(
        "Change Requests",
        REQUESTS,
        "Changes made on a Slave, which wait for the Master: Implement, Reject, Withdraw.",
        GROUP,
    ),
    Panel("Change History", HISTORY, "Every change, with each difference: Undo, Restore to here.", GROUP),
    Panel(
        "Audit Log",
        AUDIT,
        "Who did what, from where, and what came of it: Export, Verify.",
        REPORTS,
        reads=Permission.AUDIT,
    ),
    Panel(
        "Launches",
        LAUNCHES,
        "Which sessions users opened, by day; what was opened most.",
        REPORTS,
        reads=Permission.AUDIT,
    ),
    Panel(
        "Last Use",
        LAST_USE,
        "When each session was last used; which nobody uses.",
        REPORTS,
        reads=Permission.AUDIT,
    ),
    Panel("Logins", LOGINS, "When each user last logged in; who never did.", REPORTS, reads=Permission.AUDIT),
    Panel("Who May Use What", WHO_MAY, "Each user with each session that they may use.", REPORTS),
)


def navigation(allowed: Collection[Permission]) -> Sequence[tuple[str, Sequence[Panel]]]:
    """The panels for whom these permissions were given, by section."""
    shown = (panel for panel in PANELS if panel.reads in allowed)
    return [(section, list(panels)) for section, panels in groupby(shown, lambda panel: panel.section)]
