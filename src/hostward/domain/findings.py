"""What the doctor may find: a stable code each, how bad it is, and what it means. The guide's table is checked against
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """ERROR: something doesn't work. WARNING: something will stop working, or is weaker than it should be. NOTE: worth
    knowing."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Act:
    """The call of the REST API that heals a finding, as a button would make it, and the `command` that does the same.
    Acts that ask for the "Settings update" confirmation get `confirm` from whoever presses."""

    label: str
    method: str
    path: str
    body: Mapping[str, Any]
    command: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found. `subject` is the server or file that it is about; `cause` and `remedy` are sentences; `act` is
    None where there is nothing to press: it heals by itself, or needs hands."""

    code: str
    subject: str
    cause: str
    remedy: str
    act: Act | None = None

    @property
    def severity(self) -> Severity:
        return CODES[self.code][0]

    def to_json(self) -> dict[str, Any]:
        act = self.act
        return {
            "code": self.code,
            "severity": self.severity.value,
            "subject": self.subject,
            "cause": self.cause,
            "remedy": self.remedy,
            "act": {**asdict(act), "body": dict(act.body)} if act else None,
        }


_E, _W, _N = Severity.ERROR, Severity.WARNING, Severity.NOTE

CODES: Mapping[str, tuple[Severity, str]] = {
    "server-not-running": (_E, "No server runs on this data directory."),
    "data-dir-unusable": (_E, "The data directory is missing, isn't one, or can't be read."),
    "configuration-wrong": (_E, "The configuration file has mistakes."),
    "port-in-use": (_E, "Another process has a port that the server needs."),
    "registry-damaged": (_E, "A registry file can't be read."),
    "identity-damaged": (_E, "The server's own certificate or key can't be used."),
    "java-unusable": (_E, "There is no Java that the database can run on."),
    "database-down": (_E, "The database node can't run."),
    "database-ended": (_W, "The database's log says why it ended when it last ran."),
    "address-gone": (_E, "The Database Network Adapter's address is no longer one of this machine's."),
    "waiting": (_W, "The role's settings aren't carried out yet; the cause says what is waited for."),
    "removed-from-group": (_E, "The group has removed this server."),
    "content-altered": (_E, "The registry was altered outside Hostward, and isn't healed yet."),
    "not-in-sync": (_W, "A server lacks changes, or differs from the Master."),
    "log-not-written": (_E, "Changes can't be written to the replication database."),
    "node-down": (_E, "A server's database node is down."),
    "node-missing": (_E, "A server of the group has no node in the ring."),
    "node-leaving": (_W, "A node is Leaving the ring."),
    "owns-below-100": (_E, "A node owns less than 100 % of the data."),
    "stranger-in-ring": (_W, "The ring has a node that belongs to no server of the group."),
    "member-unreachable": (_E, "Another server doesn't answer."),
    "slave-not-joined": (_N, "A server of the Slave table hasn't joined."),
    "trust-missing": (_E, "A server's certificate isn't among this one's Trusted Certificates."),
    "certificate-expired": (_E, "A certificate has expired."),
    "certificate-expiring": (_W, "A certificate expires soon."),
    "passphrase-default": (_W, "The default passphrase is in use."),
    "clock-skew": (_W, "Two servers' clocks differ."),
    "versions-differ": (_W, "The servers run different versions."),
    "disk-nearly-full": (_W, "A disk has little room left."),
    "memory-low": (_W, "The machine has little memory left."),
    "yaml-edited": (_N, "cassandra.yaml was changed by hand, and the changes are kept."),
    "yaml-refused": (_W, "cassandra.yaml was changed by hand in a way that isn't used."),
    "yaml-unreadable": (_W, "cassandra.yaml was no YAML after a change by hand, and was set aside."),
    "healed": (_N, "The server mended something by itself."),
    "audit-log-broken": (_E, "An audit log was altered or cut, or isn't the one that was there before."),
    "audit-not-written": (_E, "The audit log can't be written."),
    "alone": (_N, "The Master has no Slave: nothing is replicated."),
}


def in_order(findings: list[Finding]) -> list[Finding]:
    """The worst first, then in the table's order."""
    severities, codes = list(Severity), list(CODES)
    return sorted(findings, key=lambda f: (severities.index(f.severity), codes.index(f.code), f.subject))
