"""What is measured, in the order of the table, and what it should come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bench.samples import Sizes

PERCENTS: Final = ("p50", "p99")
# Measured earlier on a machine of this kind (2 cores), one writer and two replicas, fsync on, TLS between servers.
OPENLDAP_P1_MS: Final = 5.0
ETCD_P1_MS: Final = 5.6
OPENLDAP_P3_PER_S: Final = 1_730
OPENLDAP_P4_PER_S: Final = 345
ETCD_P4_PER_S: Final = 30_000


@dataclass(frozen=True, slots=True)
class Limit:
    """`holds(ours, raw)`; raw is None where it wasn't measured or there is none."""

    words: str
    holds: Callable[[float, float | None], bool | None]
    """None: it can't be said."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A line of the table. `raw_name` is what raw Cassandra calls its value, if otherwise."""

    id: str
    words: str
    name: str
    unit: str
    digits: int = 0
    raw_name: str = ""
    limits: tuple[Limit, ...] = ()

    @property
    def goal(self) -> str:
        return "; ".join(limit.words for limit in self.limits)


def measures(sizes: Sizes) -> list[Measure]:
    """All of them. Where no goal is given, the value explains another."""
    return [*_of_changes(sizes), *_of_bulk(sizes), *_of_pages(sizes), *_of_one_server(sizes), *_of_roles(sizes)]


def _of_changes(sizes: Sizes) -> list[Measure]:
    one_by_one = f"{sizes.p1_changes:,} changes, one at a time"
    seen_p50 = (
        _ahead(less=True),
        _at_most(1.5 * OPENLDAP_P1_MS, f"{1.5 * OPENLDAP_P1_MS:.1f} (1.5 × OpenLDAP)"),
        _at_most(1.5 * ETCD_P1_MS, f"{1.5 * ETCD_P1_MS:.1f} (1.5 × etcd)"),
    )
    seen_p99 = (_at_most(25, "25"), _ahead(less=True))
    rate = (_at_least(2_000, "2,000"), _ahead(less=False), _over(OPENLDAP_P3_PER_S, "OpenLDAP's"))
    many = f"confirmed changes, {sizes.clients} clients at the Master"
    return [
        Measure("P1", f"{one_by_one}: acknowledged, on the disks of two servers, p50", "p1_ack_p50_ms", "ms", 1),
        Measure("P1", "acknowledged, p99", "p1_ack_p99_ms", "ms", 1),
        Measure("P1", "of which the answer said confirmed", "p1_confirmed_percent", "%", 1),
        Measure("P1", "from the request to readable on every Slave, p50", "p1_seen_p50_ms", "ms", 1, limits=seen_p50),
        Measure("P1", "from the request to readable on every Slave, p99", "p1_seen_p99_ms", "ms", 1, limits=seen_p99),
        Measure("P3", many, "p3_per_s", "/s", limits=rate),
        Measure("P3", "of which the answer said confirmed", "p3_confirmed_percent", "%", 1),
        Measure("P3", "from the last answer until all three are equal", "p3_equal_s", "s", 2),
    ]


def _of_bulk(sizes: Sizes) -> list[Measure]:
    rate = (
        _at_least(20_000, "20,000"),
        _at_least(40 * OPENLDAP_P4_PER_S, f"{40 * OPENLDAP_P4_PER_S:,} (40 × OpenLDAP)"),
        _at_least(ETCD_P4_PER_S, f"{ETCD_P4_PER_S:,} (etcd)"),
    )
    words = f"import of {sizes.p4_sessions:,} sessions, until all three are equal"
    return [
        Measure("P4", words, "p4_per_s", "/s", limits=rate),
        Measure("P4", "from the request until the Master answered", "p4_answer_s", "s", 2),
    ]


def _of_one_server(sizes: Sizes) -> list[Measure]:
    full = f"{sizes.memory_sessions:,} sessions"
    soon, small, large = (_at_most(1_500, "1,500"),), (_at_most(120, "120"),), (_at_most(300, "300"),)
    return [
        Measure("P7", "Standalone: start until ready", "p7_ready_ms", "ms", limits=soon),
        Measure("P7", "the very first start, which makes its keys", "p7_first_ready_ms", "ms", limits=soon),
        Measure("P7", f"start with {full}", "p7_full_ready_ms", "ms", limits=soon),
        Measure("P7", "memory, idle", "p7_idle_mb", "MB", limits=small),
        Measure("P7", f"memory after importing {full}", "p7_imported_mb", "MB", limits=large),
        Measure("P7", f"memory, started again with {full}", "p7_full_mb", "MB", limits=large),
    ]


def _of_pages(sizes: Sizes) -> list[Measure]:
    soon = (_at_most(100, "100"),)
    half = (_at_least(50, "50"),)
    consoles = (
        ("the list of sessions", "p12_list"),
        ("searched", "p12_search"),
        ("its last page", "p12_last"),
        ("a session's form", "p12_form"),
        ("Replication", "p12_replication"),
        ("Change History", "p12_history"),
    )
    full = f"console with {sizes.memory_sessions:,} sessions"
    pages = [
        Measure("P12", f"{full}: {words}, {which}", f"{name}_{which}_ms", "ms", 1, limits=soon)
        for words, name in consoles
        for which in PERCENTS
    ]
    return [
        *_of_users(sizes),
        Measure("P6", "a constant answer, 8 clients", "p6_constant_per_s", "/s"),
        Measure("P6", "a page of 50 of the list by the API, 8 clients", "p6_list_per_s", "/s"),
        Measure("P6", "of the constant answer's", "p6_list_percent", "%", limits=half),
        Measure("P6", "a search by the API, 8 clients", "p6_search_per_s", "/s"),
        Measure("P6", "of the constant answer's", "p6_search_percent", "%", limits=half),
        *pages,
    ]


def _of_users(sizes: Sizes) -> list[Measure]:
    """Goals are for what is waited for; the processor's time says how much of it isn't the client's, or other work."""
    one, every = "who has what one group has", f"who has all, by {sizes.memory_sessions // 100:,} nested groups"
    pages = (
        ("a user's page", "p6_users_page", 20),
        ("a launch", "p6_launch", 20),
        (f"{one}: the page", "p6_team_page", 20),
        (f"{one}: its last part", "p6_team_last", 20),
        (f"{one}: two words searched", "p6_team_search", 100),
        (f"{every}: the page", "p6_all_page", 20),
        (f"{every}: its last part", "p6_all_last", 20),
        (f"{every}: two words searched", "p6_all_search", 100),
    )
    found: list[Measure] = []
    for words, name, at_most_ms in pages:
        limits = (_at_most(at_most_ms, str(at_most_ms)),)
        found += [Measure("P6", f"{words}, {p}", f"{name}_{p}_ms", "ms", 1, limits=limits) for p in PERCENTS]
        found.append(Measure("P6", "of which the server's processor", f"{name}_processor_ms", "ms", 1))
    return found


def _of_roles(sizes: Sizes) -> list[Measure]:
    start, soon, back = "jvm_start_s", (_within(1.5),), (_at_most(5, "5"),)
    away = f"a Slave back after {sizes.p9_changes:,} missed changes: from its port open to in sync"
    return [
        Measure("P8", "Standalone to Master Up (raw: the JVM's start)", "p8_master_s", "s", 1, start, soon),
        Measure("P8", "Slave to Standalone Up (raw: the JVM's start)", "p8_standalone_s", "s", 1, start, soon),
        Measure("P8", "Standalone to Slave Up, in sync (raw: a node's join)", "join_s", "s", 1),
        Measure("P9", away, "p9_s", "s", 1, limits=back),
    ]


def _at_most(number: float, shown: str) -> Limit:
    return Limit(f"at most {shown}", lambda ours, raw: ours <= number)


def _at_least(number: float, shown: str) -> Limit:
    return Limit(f"at least {shown}", lambda ours, raw: ours >= number)


def _over(number: float, whose: str) -> Limit:
    return Limit(f"over {whose} {number:,.0f}", lambda ours, raw: ours > number)


def _within(times: float) -> Limit:
    return Limit(f"at most {times:g} × raw", lambda ours, raw: None if raw is None else ours <= times * raw)


def _ahead(*, less: bool) -> Limit:
    def holds(ours: float, raw: float | None) -> bool | None:
        return None if raw is None else (ours < raw) if less else (ours > raw)

    return Limit("ahead of raw", holds)
