"""Who may use what, as the registry puts it together, compared with the rules read literally."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.registry.support import following, kept, opened, session

from hostward.domain.assignments import Assignment, Effect, Of, To
from hostward.domain.changes import Delete, Operation, Put, canonical
from hostward.domain.errors import InvalidInput
from hostward.domain.favourites import Order
from hostward.domain.people import check_group, check_user
from hostward.registry.derived import usable as usable_things
from hostward.registry.derived.access import SORTS, Marked
from hostward.registry.group import GroupRegistry, Reader

pytestmark = pytest.mark.feature("R23")

NOW = "2026-06-01T00:00:00Z"
PLACES = ("", "uid=u,OU=Sales,dc=x", "uid=u,ou=it,ou=sales,dc=x", "uid=u,ou=presales,dc=x", "ou=sales,dc=x", "dc=x")
FOLDERS = {f"ldap\t{place}": place for place in ("dc=x", "ou=sales,dc=x", "ou=it,ou=sales,dc=x")}
OTHER_DIRECTORYS = "other\tdc=x"
USERS, GROUPS, SESSIONS = ("u0", "u1", "u2"), ("g0", "g1", "g2", "g3"), ("s0", "s1", "s2")


@dataclass(frozen=True)
class World:
    """Who belongs to what, and what is assigned."""

    members: Mapping[str, Sequence[str]]
    parents: Mapping[str, Sequence[str]]
    named: Mapping[str, Sequence[str]]
    """The groups that each session itself names."""
    assignments: Sequence[Assignment]
    places: Mapping[str, str] = field(default_factory=dict)
    """Where users are in the directory."""

    def operations(self) -> list[Operation]:
        fields = {u: {"directory": "Ldap", "dn": dn} for u, dn in self.places.items() if dn}
        users = [
            Put("user", u, canonical(check_user({"name": u, "groups": list(g)} | fields.get(u, {}))))
            for u, g in self.members.items()
        ]
        groups = [
            Put("user-group", g, canonical(check_group({"name": f"Group {g}", "groups": list(p)})))
            for g, p in self.parents.items()
        ]
        sessions: list[Operation] = [
            session(s, f"session {s}", groups=[f"GROUP {g}" for g in named]) for s, named in self.named.items()
        ]
        return [*users, *groups, *sessions, *(a.put() for a in self.assignments)]

    def belongs(self, user: str) -> set[str]:
        found, left = set(), list(self.members[user])
        while left:
            group = left.pop()
            if group not in found:
                found.add(group)
                left += self.parents[group]
        return found

    def may(self, user: str, session_id: str) -> bool:
        groups, dn = self.belongs(user), self.places.get(user, "").lower()
        folders = {f for f, place in FOLDERS.items() if dn == place or dn.endswith(f",{place}")}
        last = {(a.to_kind, a.to_id, a.of_id): a for a in self.assignments}.values()
        counts = [
            a.effect
            for a in last
            if a.of_id == session_id
            and not (a.until and a.until <= NOW)
            and (a.to_kind is To.EVERYONE or a.to_id == user or a.to_id in groups | folders)
        ]
        allowed = Effect.ALLOW in counts or bool(groups & set(self.named[session_id]))
        return allowed and Effect.DENY not in counts


def some(of: Sequence[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(of), max_size=2, unique=True)


ASSIGNMENTS = st.builds(
    lambda to, of, effect, until: Assignment(to[0], to[1], Of.SESSION, of, effect, until),
    st.one_of(
        st.just((To.EVERYONE, "")),
        st.tuples(st.just(To.USER), st.sampled_from(USERS)),
        st.tuples(st.just(To.GROUP), st.sampled_from(GROUPS)),
        st.tuples(st.just(To.FOLDER), st.sampled_from([*FOLDERS, OTHER_DIRECTORYS])),
    ),
    st.sampled_from(SESSIONS),
    st.sampled_from(Effect),
    st.sampled_from(["", NOW, "2026-05-31T23:59:59Z", "2026-06-01T00:00:01Z"]),
)
WORLDS = st.builds(
    World,
    st.fixed_dictionaries({u: some(GROUPS) for u in USERS}),
    st.fixed_dictionaries({g: some(GROUPS) for g in GROUPS}),  # circles too: a request may have made one
    st.fixed_dictionaries({s: some(GROUPS) for s in SESSIONS}),
    st.lists(ASSIGNMENTS, max_size=8),
    st.fixed_dictionaries({u: st.sampled_from(PLACES) for u in USERS}),
)


def check(registry: GroupRegistry, world: World) -> None:
    with registry.read() as reader:
        for user in USERS:
            usable = [s for s in SESSIONS if world.may(user, s)]
            ids, total = reader.access.sessions_of(user, NOW, "", page=1, per_page=50)
            assert (list(ids), total) == (usable, len(usable))
            for few, near in ((9, 9), (0, 9), (0, 0)):  # looked up; all there is, asked for what is given; both
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(usable_things, "FEW", few)
                    patch.setattr(usable_things, "NEAR", near)
                    patch.setattr(usable_things, "row_by_row", lambda *_, few=few: not few)
                    check_ways(reader, user, usable)
            for one in SESSIONS:
                assert reader.access.may_use(user, Of.SESSION, one, NOW) == world.may(user, one)
                grounds = reader.access.grounds(user, Of.SESSION, one, NOW)
                assert [g.effect for g in grounds] == sorted((g.effect for g in grounds), reverse=True), "denials first"


def check_ways(reader: Reader, user: str, usable: Sequence[str]) -> None:
    pages = [reader.access.sessions_of(user, NOW, "", page=n, per_page=1) for n in range(1, len(usable) + 1)]
    assert pages == [([s], len(usable)) for s in usable]
    for one in SESSIONS:
        wanted = [one] if one in usable else []
        found = reader.access.sessions_of(user, NOW, f"SION {one}", page=1, per_page=50)
        assert found == (wanted, len(wanted))
    check_favourites(reader, user, usable)
    after = [row[0] for row in reader.access.sessions_after(user, NOW, "", 50)]
    assert after == [f"session {s}" for s in usable]
    assert [r[0] for r in reader.access.sessions_after(user, NOW, "session s0", 1)] == [
        n for n in after if n > "session s0"
    ][:1]


def check_favourites(reader: Reader, user: str, usable: Sequence[str]) -> None:
    """They come first, on whichever page, and those alone that the user may use; nothing is shown twice or left out."""
    marked = ["s2", "s1", "gone"]
    favourites = [s for s in usable if s in marked]
    for order, wanted in (
        (Order.FIRST, [*favourites, *(s for s in usable if s not in marked)]),
        (Order.ONLY, favourites),
        (Order.NAME, usable),
    ):
        for q in ("", "sess"):
            for per_page in (1, 2, 50):
                pages = [
                    reader.access.sessions_of(user, NOW, q, page=n, per_page=per_page, marked=Marked(marked, order))
                    for n in range(1, -(-len(wanted) // per_page) + 2)
                ]
                assert [s for ids, _ in pages for s in ids] == list(wanted)
                assert {total for _, total in pages} == {len(wanted)}
    assert reader.access.usable_among(user, NOW, marked) == favourites
    assert reader.access.usable_among("", NOW, marked) == ["s1", "s2"], "who may use all there is"


@settings(max_examples=60, deadline=None)
@given(WORLDS, WORLDS)
def test_the_registry_answers_what_the_rules_say_on_every_server(first: World, second: World) -> None:
    async def run(directory: Path) -> None:
        master = opened(directory / "a.db")
        await master.commit("admin", lambda _: first.operations())
        check(master, first)
        slave = await following(directory / "b.db", master)
        check(slave, first)
        gone: list[Operation] = [Delete("assignment", a.id) for a in first.assignments]
        await master.commit("admin", lambda _: gone)
        await master.commit("admin", lambda _: second.operations())
        await slave.apply(kept(master)[1:], lambda change, reader: None)
        for registry in (master, slave):
            check(registry, second)
            assert registry.verify().ok
        slave.close()
        master.close()
        again = opened(directory / "a.db")  # the rows are in the file
        check(again, second)
        again.close()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


WORDS = ["", "s0", "Group g1", "GROUP s1", "all users", "DC=X s", "ldap: ou=sales", "nobody"]
SUBJECTS = [None, (To.EVERYONE.value, ""), (To.USER.value, "u1"), (To.GROUP.value, "g0")]


@settings(max_examples=60, deadline=None)
@given(WORLDS, st.sampled_from(WORDS), st.sampled_from(SUBJECTS), st.sampled_from([None, ("session", "s1")]))
def test_assignments_are_found_by_words_of_both_names_and_listed_in_every_order(
    world: World, q: str, to: tuple[str, str] | None, of: tuple[str, str] | None
) -> None:
    last = {a.id: a for a in world.assignments}

    def names(id_: str) -> tuple[str, str]:
        kind, to_id = last[id_].to_kind, last[id_].to_id
        shown = {To.EVERYONE: "all users", To.USER: to_id, To.GROUP: f"group {to_id}"}
        of_id = last[id_].of_id
        return "\U0010ffff" if of_id == "s2" else f"session {of_id}", shown.get(kind, to_id.replace("\t", ": "))

    def expected(sort: str, revisions: Mapping[str, int]) -> list[str]:
        keys: dict[str, Callable[[str], Any]] = {
            "revision": revisions.__getitem__,
            "what": names,
            "to": lambda i: names(i)[::-1],
            "effect": lambda i: last[i].effect,
            "until": lambda i: last[i].until,
        }
        found = [
            i
            for i, a in last.items()
            if all(word in "\n".join(names(i)) for word in q.lower().split())
            and to in (None, (a.to_kind.value, a.to_id))
            and of in (None, (a.of_kind.value, a.of_id))
        ]
        column, down = sort.removeprefix("-"), sort.startswith("-")
        found.sort(key=lambda i: (revisions[i], i), reverse=down or column != "revision")
        found.sort(key=keys[column], reverse=down)
        return sorted(found, key=lambda i: keys[column](i) == "")

    async def run(directory: Path) -> None:
        registry = opened(directory / "a.db")
        operations = world.operations()
        await registry.commit("admin", lambda _: operations[:-2])
        await registry.commit("admin", lambda _: [*operations[-2:], Delete("session", "s2")])
        with registry.read() as reader:
            revisions = {e.id: e.revision for e in reader.list("assignment")}
            for sort in (s for column in SORTS for s in (column, f"-{column}")):
                wanted = expected(sort, revisions)
                for per_page in (1, 3, 50):
                    pages = [
                        reader.access.assignments(q, to=to, of=of, sort=sort, page=n, per_page=per_page)
                        for n in range(1, -(-len(wanted) // per_page) + 2)
                    ]
                    assert [i for ids, _ in pages for i in ids] == wanted, sort
                    assert {total for _, total in pages} == {len(wanted)}
        registry.close()

    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory)))


def test_assignments_are_not_sorted_by_what_they_have_not(tmp_path: Path) -> None:
    registry = opened(tmp_path / "a.db")
    with registry.read() as reader, pytest.raises(InvalidInput, match=r"sorted by “colour”"):
        reader.access.assignments("", to=None, of=None, sort="-colour", page=1, per_page=50)
    registry.close()


def test_tables_that_the_build_before_did_not_have_are_filled_when_the_file_is_opened(tmp_path: Path) -> None:
    world = World(
        {"u0": ["g0"], "u1": [], "u2": []},
        {"g0": ["g1"], "g1": [], "g2": [], "g3": []},
        {"s0": ["g1"], "s1": [], "s2": []},
        [Assignment(To.USER, "u1", Of.SESSION, "s1"), Assignment(To.FOLDER, "ldap\tdc=x", Of.SESSION, "s2")],
        {"u2": "uid=u,dc=x"},
    )

    async def run() -> None:
        registry = opened(tmp_path / "a.db")
        await registry.commit("admin", lambda _: world.operations())
        registry.close()
        db = sqlite3.connect(tmp_path / "a.db")
        for table in (
            "session_entry",
            "session_in",
            "user_place",
            "user_entry",
            "member_of",
            "group_row",
            "nested_in",
            "assignment_entry",
        ):
            db.execute(f"DROP TABLE {table}")
        db.execute("DELETE FROM meta WHERE name = 'derived'")
        db.commit()
        db.close()
        registry = opened(tmp_path / "a.db")
        check(registry, world)
        assert registry.verify().ok
        registry.close()

    asyncio.run(run())


@pytest.mark.parametrize("page", [1, -1])
def test_a_page_takes_no_more_work_where_there_are_more_sessions(tmp_path: Path, page: int) -> None:
    """SQLite's own steps, which don't vary. The last page too."""
    groups = [f"g{n}" for n in range(8)]
    people: list[Operation] = [
        Put("user", "u0", canonical(check_user({"name": "u0", "groups": groups}))),
        *(Put("user-group", g, canonical(check_group({"name": f"Group {g}"}))) for g in groups),
    ]

    async def steps(count: int) -> int:
        registry = opened(tmp_path / f"{count}.db")
        sessions = [session(f"s{n:05}", f"session {n:05}", groups=[f"Group g{n % 8}"]) for n in range(count)]
        others = [session(f"o{n:05}", f"session {count // 2:05} {n}") for n in range(count // 20)]
        await registry.commit("admin", lambda _: [*people, *sessions, *others])
        taken = 0

        def step() -> int:
            nonlocal taken
            taken += 1
            return 0

        with registry.read() as reader:
            number = page if page > 0 else count // 50
            reader._db.set_progress_handler(step, 1)
            ids, total = reader.access.sessions_of("u0", NOW, "", page=number, per_page=50)
            reader._db.set_progress_handler(None, 0)
        assert (len(ids), total) == (50, count)
        registry.close()
        return taken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(usable_things, "FEW", 100)
        few, many = asyncio.run(steps(200)), asyncio.run(steps(2_000))
    assert many < 1.1 * few, (few, many)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM member_of",
        "INSERT INTO user_place VALUES ('u1', 'ldap', 'dc=x')",
        "INSERT INTO member_of VALUES ('u1', 'g0')",
        "UPDATE assignment_entry SET effect = 'deny'",
        "UPDATE user_entry SET role = 'administrator' WHERE id = 'u1'",
        "INSERT INTO session_in VALUES ('s1', 'group g0', '')",
        "UPDATE session_entry SET groups_key = (SELECT groups_key FROM session_entry WHERE id = 's0') WHERE id = 's1'",
        "UPDATE session_way SET elements = 2",
        "DELETE FROM session_way",
        "INSERT INTO session_way VALUES ('group g2', 'no such key', 1)",
        "INSERT INTO user_entry VALUES ('u9', 'ghost', 'ghost', '', '', 0, '', 'ghost')",
    ],
)
def test_access_that_is_edited_in_the_file_is_found(tmp_path: Path, statement: str) -> None:
    world = World(
        {"u0": ["g0"], "u1": [], "u2": []},
        {"g0": [], "g1": [], "g2": [], "g3": []},
        {"s0": ["g0"], "s1": [], "s2": []},
        [Assignment(To.USER, "u1", Of.SESSION, "s1")],
    )

    async def run() -> None:
        registry = opened(tmp_path / "a.db")
        await registry.commit("admin", lambda _: world.operations())
        db = sqlite3.connect(tmp_path / "a.db")
        db.execute(statement)
        db.commit()
        db.close()
        found = registry.verify()
        assert not found.ok
        assert len(found.altered) == 1
        registry.close()

    asyncio.run(run())
