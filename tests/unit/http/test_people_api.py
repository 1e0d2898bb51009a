"""Users, groups and roles through the API: who may log in, what each may do, and when a login ends."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from typing import Any

import httpx
import pytest
from tests.unit.commands.servers import PASSWORD
from tests.unit.http.conftest import Server, client

from hostward.access.own_pace import CODE as TOO_OFTEN
from hostward.access.own_pace import USER_AT_ONCE, TooOften
from hostward.commands import accounts
from hostward.commands.services import Actor
from hostward.domain.changes import Put, canonical
from hostward.domain.people import MAX_GROUPS, PASSWORD_KIND, USER_KIND, Role, check_user
from hostward.domain.permissions import ALLOWED, Permission

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R23")]

SECRET = "correct horse battery"


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


async def created(server: Server, name: str, **fields: Any) -> dict[str, Any]:
    answer = await server.api.post("/users", json={"name": name, "password": SECRET, **fields})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["user"]
    return found


async def group(server: Server, name: str, *parents: str) -> dict[str, Any]:
    answer = await server.api.post("/user-groups", json={"name": name, "groups": parents})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()["group"]
    return found


async def as_user(server: Server, stack: AsyncExitStack, name: str, password: str = SECRET) -> httpx.AsyncClient:
    answer = await server.anyone.post("/login", json={"user": name, "password": password})
    assert answer.status_code == 200, answer.text
    return await stack.enter_async_context(client(server.app, answer.json()["token"]))


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    found: str = answer.json()["code"]
    return found


async def test_a_user_is_made_read_edited_renamed_and_deleted(server: Server) -> None:
    await group(server, "Oslo IT")
    user = await created(server, "Anna", full_name="Anna Berg", groups=["oslo it"])
    assert (user["groups"], user["role"], user["disabled"]) == (["Oslo IT"], "", False)
    path = f"/users/{user['id']}"
    read = await server.api.get(path)
    assert read.json()["password"] is True
    stale = await server.api.patch(path, json={"full_name": "X"}, headers={"If-Match": '"other"'})
    assert code(stale, 412) == "precondition-failed"
    changed = await server.api.patch(path, json={"name": "anna.berg"}, headers={"If-Match": read.headers["etag"]})
    assert changed.json()["user"]["full_name"] == "Anna Berg"
    assert [u["name"] for u in (await server.api.get("/users?q=BERG")).json()["items"]] == ["anna.berg"]
    assert (await server.api.delete(path)).status_code == 200
    assert code(await server.api.get(path), 404) == "not-found"
    with server.services.group.read() as reader:
        assert reader.count(PASSWORD_KIND) == 0


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"name": ""}, "name"), ({"name": "a b"}, "name"), ({"name": "../x"}, "name"), ({"name": "x" * 65}, "name"),
        ({"full_name": "a\nb"}, "full_name"), ({"full_name": "x" * 129}, "full_name"),
        ({"groups": ["Osl IT"]}, "groups"), ({"comment": "x" * 1001}, "comment"),
        ({"password": "short"}, "password"), ({"password": "anna"}, "password"),
    ],
)  # fmt: skip
async def test_a_mistake_is_named_and_nothing_is_made(server: Server, fields: Mapping[str, Any], wrong: str) -> None:
    await group(server, "Oslo IT")
    revision = server.services.group.position.revision
    answer = await server.api.post("/users", json={"name": "anna", "password": SECRET, **fields})
    assert answer.status_code == 422, answer.text
    assert [m["field"] for m in answer.json()["mistakes"]] == [wrong]
    assert answer.json()["mistakes"][0]["remedy"]
    assert server.services.group.position.revision == revision


async def test_names_are_unique_whatever_their_case_and_never_an_administrators_of_this_server(server: Server) -> None:
    await created(server, "anna")
    other = await created(server, "bert")
    for answer in (
        await server.api.post("/users", json={"name": "ANNA"}),
        await server.api.post("/users", json={"name": "Admin"}),
        await server.api.patch(f"/users/{other['id']}", json={"name": "Anna"}),
    ):
        assert code(answer, 409) == "name-taken"
    await group(server, "Straße")
    assert code(await server.api.post("/user-groups", json={"name": "STRASSE"}), 409) == "name-taken"


async def test_nobody_logs_in_without_a_password_or_when_disabled_and_open_logins_end_at_once(
    server: Server, stack: AsyncExitStack
) -> None:
    user = await created(server, "anna", password=None)
    given = {"user": "anna", "password": SECRET}
    assert code(await server.anyone.post("/login", json=given), 401) == "wrong-password"
    assert code(await server.anyone.post("/login", json={"user": "anna", "password": ""}), 401) == "wrong-password"
    path = f"/users/{user['id']}"
    assert (await server.api.put(f"{path}/password", json={"password": SECRET})).status_code == 200
    anna = await as_user(server, stack, "ANNA")
    me = (await anna.get("/me")).json()
    assert (me["user"], me["role"]) == ("anna", "")
    await server.api.patch(path, json={"disabled": True})
    assert code(await anna.get("/me"), 401) == "token-invalid"
    assert code(await server.anyone.post("/login", json=given), 401) == "user-disabled"
    wrong = await server.anyone.post("/login", json={"user": "anna", "password": "something else"})
    assert code(wrong, 401) == "wrong-password"  # who can't log in learns nothing of it
    await server.api.patch(path, json={"disabled": False})
    assert (await anna.get("/me")).status_code == 200


@pytest.mark.parametrize("how", ["password", "logins", "own password", "everywhere", "deleted"])
async def test_logins_and_tokens_of_a_user_end_together(server: Server, stack: AsyncExitStack, how: str) -> None:
    user = await created(server, "anna", role="administrator")
    path = f"/users/{user['id']}"
    anna, again = await as_user(server, stack, "anna"), await as_user(server, stack, "anna")
    program = await stack.enter_async_context(
        client(server.app, (await anna.post("/tokens", json={"name": "nightly"})).json()["token"])
    )
    other = await created(server, "bert")
    bert = await as_user(server, stack, "bert")
    assert (await program.get("/sessions")).status_code == 200
    match how:
        case "password":
            await server.api.put(f"{path}/password", json={"password": "another one of hers"})
        case "logins":
            await server.api.delete(f"{path}/logins")
        case "own password":
            changed = await anna.put("/me/password", json={"current": SECRET, "new": "another one of hers"})
            assert changed.status_code == 200, changed.text
        case "everywhere":
            assert (await anna.delete("/me/logins")).status_code == 200
        case _:
            await server.api.delete(path)
            # Another of the same name is somebody else.
            assert (await created(server, "anna", role="administrator"))["id"] != user["id"]
    stays = how == "own password"
    assert ((await anna.get("/me")).status_code == 200) is stays
    for ended in (again, program) if stays else (anna, again, program):
        assert code(await ended.get("/me"), 401) == "token-invalid"
    assert (await bert.get("/me")).json()["user"] == other["name"]
    assert (await server.api.get("/me")).json()["user"] == "admin"


async def test_each_role_may_do_what_it_says_and_nothing_else(server: Server, stack: AsyncExitStack) -> None:
    session = (await server.create("one")).json()["session"]
    simple = await created(server, "simple")
    tries = {
        Permission.OWN: ("GET", "/me", None),
        Permission.READ: ("GET", "/sessions", None),
        Permission.SESSIONS: ("PATCH", f"/sessions/{session['id']}", {"comment": "changed"}),
        Permission.HELP: ("DELETE", f"/users/{simple['id']}/logins", None),
        Permission.AUDIT: ("GET", "/audit", None),
        Permission.EVERYTHING: ("PATCH", "/settings", {"change-requests": "ask"}),
    }
    assert set(tries) == set(Permission)
    for role, allowed in ALLOWED.items():
        name = f"u-{role.name.lower()}"
        await created(server, name, role=role.value)
        who = await as_user(server, stack, name)
        for needed, (method, path, body) in tries.items():
            answer = await who.request(method, path, json=body)
            if needed in allowed:
                assert answer.status_code == 200, (role, needed, answer.text)
            else:
                assert code(answer, 403) == "role", (role, needed)
                assert answer.json()["remedy"]
    refused = (await server.api.get("/audit?act=not-allowed")).json()["items"]
    assert {"u-none", "u-sessions"} <= {entry["user"] for entry in refused}


async def test_every_route_asks_for_a_role(server: Server, stack: AsyncExitStack) -> None:
    """Whoever has none may only see to themselves."""
    await created(server, "simple")
    simple = await as_user(server, stack, "simple")
    described = (await server.anyone.get("/openapi.json")).json()
    own = set()
    for path, methods in described["paths"].items():
        for method in methods:
            if (
                path.removeprefix("/mss/api/v1") in ("/login", "/login/exchange", "/login/siteminder")
                or "/health/" in path
            ):
                continue
            url = path.removeprefix("/mss/api/v1").replace("{", "").replace("}", "")
            answer = await simple.request(method, url, content=b"{not json")
            if answer.status_code != 403:
                own.add((method, url))
                if url in ("/logout", "/me/logins"):
                    simple = await as_user(server, stack, "simple")
    assert own == {
        ("post", "/logout"), ("get", "/me"), ("put", "/me/password"), ("delete", "/me/logins"),
        ("get", "/me/sessions"), ("get", "/me/sessions/session_id/launch"), ("post", "/me/ticket"),
        ("get", "/me/servers"), ("get", "/me/packages"), ("get", "/me/packages/package_id/file"),
        ("get", "/me/favourites"), ("patch", "/me/favourites"),
    }  # fmt: skip


async def test_the_help_desk_gets_no_role_by_setting_a_password(server: Server, stack: AsyncExitStack) -> None:
    await created(server, "helper", role="help desk")
    boss = await created(server, "boss", role="administrator")
    simple = await created(server, "simple")
    helper = await as_user(server, stack, "helper")
    for answer in (
        await helper.put(f"/users/{boss['id']}/password", json={"password": "mine from now on"}),
        await helper.delete(f"/users/{boss['id']}/logins"),
        await helper.patch(f"/users/{simple['id']}", json={"role": "administrator"}),
    ):
        assert code(answer, 403) == "role"
    assert (await server.anyone.post("/login", json={"user": "boss", "password": SECRET})).status_code == 200
    given = await helper.put(f"/users/{simple['id']}/password", json={"password": "a fresh one for them"})
    assert given.status_code == 200, given.text
    await as_user(server, stack, "simple", "a fresh one for them")


async def test_tokens_are_seen_and_deleted_by_their_own_and_by_administrators(
    server: Server, stack: AsyncExitStack
) -> None:
    await created(server, "anna", role="auditor")
    anna = await as_user(server, stack, "anna")
    listed = (await anna.get("/tokens")).json()["items"]
    assert {t["user"] for t in listed} == {"anna"}
    everyones = (await server.api.get("/tokens")).json()["items"]
    assert {t["user"] for t in everyones} == {"anna", "admin"}
    admins = next(t for t in everyones if t["user"] == "admin")
    assert code(await anna.delete(f"/tokens/{admins['id']}"), 403) == "role"
    assert (await server.api.get("/me")).status_code == 200


async def test_groups_nest_follow_renames_and_never_in_a_circle(server: Server) -> None:
    top, middle = await group(server, "Nordics"), await group(server, "Norway", "Nordics")
    bottom = await group(server, "Oslo", "Norway")
    user = await created(server, "anna", groups=["Oslo"])
    read = (await server.api.get(f"/users/{user['id']}")).json()
    assert (read["groups"], read["by_way_of"]) == (["Oslo"], ["Nordics", "Norway"])
    for child, parent in ((top, "Oslo"), (top, "Nordics"), (middle, "Oslo")):
        answer = await server.api.patch(f"/user-groups/{child['id']}", json={"groups": [parent]})
        assert code(answer, 422) == "groups-in-a-circle"
    session = (await server.create("one", groups=["oslo", "Elsewhere"])).json()["session"]
    renamed = await server.api.patch(f"/user-groups/{bottom['id']}", json={"name": "Oslo and around"})
    assert renamed.status_code == 200
    now = (await server.api.get(f"/sessions/{session['id']}")).json()
    assert now["groups"] == ["Oslo and around", "Elsewhere"]
    detail = (await server.api.get(f"/user-groups/{bottom['id']}")).json()
    assert (detail["users"], detail["sessions"], detail["groups"]) == (1, 1, ["Norway"])
    asked = await server.api.delete(f"/user-groups/{bottom['id']}")
    assert code(asked, 409) == "confirmation-required"
    assert "1 users" in asked.json()["consequences"][0]
    assert (await server.api.delete(f"/user-groups/{bottom['id']}?confirm=true")).status_code == 200
    assert (await server.api.get(f"/users/{user['id']}")).json()["groups"] == []
    assert (await server.api.get(f"/sessions/{session['id']}")).json()["groups"] == ["Elsewhere"]


async def test_members_change_together_or_not_at_all(server: Server) -> None:
    users = [await created(server, f"u{n}", password=None) for n in range(4)]
    made = await group(server, "Oslo")
    path = f"/user-groups/{made['id']}/members"
    wrong = await server.api.post(path, json={"add": ["u1", "nobody"], "remove": []})
    assert code(wrong, 422) == "user-unknown"
    assert (await server.api.get(f"/user-groups/{made['id']}")).json()["users"] == 0
    assert (await server.api.post(path, json={"add": ["u0", "U1", users[2]["id"]]})).status_code == 200
    assert (await server.api.post(path, json={"add": ["u3"], "remove": ["u0"]})).status_code == 200
    found = (await server.api.get(f"/users?group={made['id']}")).json()
    assert [u["name"] for u in found["items"]] == ["u1", "u2", "u3"]


async def test_a_file_of_users_is_imported_once_and_exported_as_it_came(server: Server) -> None:
    rows: list[dict[str, Any]] = [
        {"login": f"u{n:04}", "name": f"User {n}", "groups": [f"Group {n % 7}", "All"]} for n in range(400)
    ]
    dry = (await server.api.post("/users/import?dry_run=true", json=rows)).json()
    assert (dry["created"], len(dry["groups_created"]), dry["replicated"]) == (400, 8, None)
    assert server.services.group.position.revision == 0
    done = (await server.api.post("/users/import", json=rows, headers={"Idempotency-Key": "1"})).json()
    assert (done["created"], done["revision"]) == (400, 1)
    again = (await server.api.post("/users/import", json=rows)).json()
    assert (again["created"], again["changed"], again["unchanged"], again["revision"]) == (0, 0, 400, 1)
    rows[0] = {"login": "U0000", "disabled": True}
    partly = (await server.api.post("/users/import", json=rows)).json()
    assert (partly["changed"], partly["unchanged"]) == (1, 399)
    exported = (await server.api.get("/users/export")).json()
    assert exported[0]["disabled"] is True
    assert exported[0]["groups"] == ["All", "Group 0"], "what the file doesn't name stays"
    assert exported[1:2] == [
        {"login": "u0001", "name": "User 1", "groups": ["All", "Group 1"], "role": "", "disabled": False, "comment": ""}
    ]
    same = (await server.api.post("/users/import", json=exported)).json()
    # The name was given in capitals in the second file.
    assert (same["changed"], same["unchanged"]) == (0, 400)


@pytest.mark.parametrize(
    ("rows", "field", "row"),
    [
        ([{"login": "a"}, {"login": "A"}], "login", 2),
        ([{"name": "x"}], "login", 1),
        ([{"login": "a", "groups": "x"}], "groups", 1),
        ([{"login": "a", "groups": ["x;y"]}], "groups", 1),
        ([{"login": "a", "role": "king"}], "role", 1),
        ([{"login": "a", "pasword": "x"}], "pasword", 1),
        (["a"], "", 1),
    ],
)
async def test_a_file_with_mistakes_is_refused_as_a_whole(server: Server, rows: Any, field: str, row: int) -> None:
    answer = await server.api.post("/users/import", json=[*rows, {"login": "good"}])
    assert code(answer, 422) == "file-invalid"
    assert [(m["field"], m["row"]) for m in answer.json()["mistakes"]] == [(field, row)]
    assert server.services.group.position.revision == 0


async def test_only_the_users_that_a_file_names_are_looked_at_however_many_others_there_are(server: Server) -> None:
    # A role that this server doesn't know is a newer one's: whoever looks at that user finds a mistake.
    other = Put(USER_KIND, "other", canonical(check_user({"name": "other"}) | {"role": "newer"}))
    await server.services.group.commit("a newer server", lambda _: [other])
    done = await server.api.post("/users/import", json=[{"login": "anna", "groups": ["Oslo"]}])
    assert done.json()["created"] == 1, done.text
    refused = await server.api.post("/users/import", json=[{"login": "anna"}, {"login": "Other", "disabled": True}])
    assert code(refused, 422) == "file-invalid"
    assert [(m["field"], m["row"]) for m in refused.json()["mistakes"]] == [("role", 2)]


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b"\xff\xfe", b'"text"', b"[" * 100_000])
async def test_what_is_no_list_of_users_is_refused(server: Server, content: bytes) -> None:
    assert code(await server.api.post("/users/import", content=content), 422) == "file-invalid"


@pytest.mark.feature("A11")
async def test_no_answer_and_no_history_shows_a_passwords_hash(server: Server) -> None:
    user = await created(server, "anna")
    await server.api.put(f"/users/{user['id']}/password", json={"password": "another one of hers"})
    described = (await server.anyone.get("/openapi.json")).json()
    texts = []
    for path, methods in described["paths"].items():
        if "get" in methods:
            url = re.sub(r"{\w*revision\w*}", "1", path.removeprefix("/mss/api/v1"))
            url = re.sub(r"{user_id}", user["id"], url)
            answer = await server.api.get(re.sub(r"{\w+}", "x", url))
            texts.append((url, answer.text))
    change = (await server.api.get("/changes/1")).json()
    texts.append(("change", json.dumps(change)))
    assert "Create user “anna”" in change["summary"]
    for url, text in texts:
        assert "argon2" not in text, url
        assert SECRET not in text, url


async def test_turning_back_the_configuration_lets_nobody_in_again(server: Server, stack: AsyncExitStack) -> None:
    user = await created(server, "anna")
    await server.create("one")
    revision = server.services.group.position.revision
    await server.api.patch(f"/users/{user['id']}", json={"disabled": True})
    await server.create("two")
    asked = await server.api.post("/restore", json={"revision": revision})
    plan = asked.json().get("plan", "")
    done = await server.api.post("/restore", json={"revision": revision, "confirm": True, "plan": plan})
    assert done.status_code == 200, done.text
    assert (await server.api.get("/sessions")).json()["total"] == 1
    assert (await server.api.get(f"/users/{user['id']}")).json()["disabled"] is True
    refused = await server.anyone.post("/login", json={"user": "anna", "password": SECRET})
    assert code(refused, 401) == "user-disabled"


async def test_the_administrator_of_the_server_stays_whatever_becomes_of_the_users(server: Server) -> None:
    assert (await server.anyone.post("/login", json={"user": "admin", "password": PASSWORD})).status_code == 200
    assert Role.ADMINISTRATOR.value == (await server.api.get("/me")).json()["role"]


async def listed(server: Server, query: str, what: str = "users") -> list[str]:
    answer = await server.api.get(f"/{what}?{query}")
    assert answer.status_code == 200, answer.text
    assert answer.json()["total"] == len(answer.json()["items"])
    return [item["name"] for item in answer.json()["items"]]


@pytest.mark.feature("R24")
async def test_users_are_found_by_role_state_directory_and_group_together_and_sorted(server: Server) -> None:
    oslo = (await group(server, "Oslo"))["id"]
    settings = {"servers": ["127.0.0.1"], "user_base": "dc=example", "user_filter": "(uid={user})"}
    assert (await server.api.put("/directories/Corp", json=settings)).status_code == 200
    await created(server, "dora", full_name="ada first", groups=["Oslo"], role="auditor")
    await created(server, "carl", full_name="Zoe Last", role="administrator", disabled=True)
    await created(server, "bert", password=None, groups=["Oslo"])
    await created(server, "anna", password=None, directory="corp", full_name="Bea Second")
    assert await listed(server, "role=auditor") == ["dora"]
    assert await listed(server, "role=") == ["anna", "bert"]
    assert await listed(server, "state=disabled") == ["carl"]
    assert await listed(server, "state=enabled") == ["anna", "bert", "dora"]
    assert await listed(server, "state=no+password") == ["bert"]
    assert await listed(server, "directory=CORP") == ["anna"]
    assert await listed(server, "directory=") == ["bert", "carl", "dora"]
    assert await listed(server, f"group={oslo}&role=auditor&state=enabled&directory=&q=FIRST") == ["dora"]
    assert await listed(server, f"group={oslo}&state=disabled") == []
    # Who has none of what is sorted by comes last, either way.
    assert await listed(server, "sort=full_name") == ["dora", "anna", "carl", "bert"]
    assert await listed(server, "sort=-full_name") == ["carl", "anna", "dora", "bert"]
    assert await listed(server, "sort=role") == ["carl", "dora", "anna", "bert"]
    assert await listed(server, "sort=-name") == ["dora", "carl", "bert", "anna"]
    await group(server, "Empty")
    assert await listed(server, "sort=-users", "user-groups") == ["Oslo", "Empty"]
    for wrong in ("role=king", "state=away", "directory=Nowhere", "sort=nothing"):
        assert (await server.api.get(f"/users?{wrong}")).status_code == 422, wrong
    assert (await server.api.get("/users?group=nothing")).status_code == 404


@pytest.mark.feature("R24")
async def test_all_users_that_match_are_changed_and_deleted_as_one_change(server: Server) -> None:
    await group(server, "Oslo")
    names = [f"u{n}" for n in range(5)]
    users = [await created(server, name, password=None) for name in names]
    await server.create("one")
    given = {"to": [{"kind": "user", "name": "u0"}], "sessions": ["one"]}
    assert (await server.api.post("/assignments", json=given)).status_code == 200
    revision = server.services.group.position.revision
    edit = {"matching": {"q": "u", "role": ""}, "expected": 5, "disabled": True, "join": ["oslo"]}
    asked = await server.api.post("/users/edit", json=edit)
    assert code(asked, 409) == "confirmation-required"
    assert len(asked.json()["plan"]) == 32
    assert server.services.group.position.revision == revision
    done = await server.api.post("/users/edit", json=edit | {"confirm": True, "plan": asked.json()["plan"]})
    assert (done.json()["users"], done.json()["revision"]) == (5, revision + 1)
    assert await listed(server, "state=disabled") == names
    for wrong in (
        {"disabled": True, "confirm": True},
        {"matching": {}, "ids": ["x"], "disabled": True},
        {"matching": {}, "confirm": True},
        {"matching": {}, "join": ["Nowhere"], "confirm": True},
    ):
        assert (await server.api.post("/users/edit", json=wrong)).status_code == 422, wrong
    few = {"ids": [u["id"] for u in users[:2]], "confirm": True}
    assert (await server.api.post("/users/delete", json=few)).json()["users"] == 2
    assert await listed(server, "") == names[2:]
    assert (await server.api.get("/assignments")).json()["total"] == 0
    entries = (await server.api.get("/audit?act=users-edited")).json()["items"]
    assert (entries[0]["about"]["users"], entries[0]["about"]["join"]) == ("5", "oslo")


@pytest.mark.feature("R24")
async def test_a_password_that_is_set_or_gone_counts_at_once_in_the_list(server: Server) -> None:
    user = await created(server, "anna", password=None)
    assert await listed(server, "state=no+password") == ["anna"]
    await server.api.put(f"/users/{user['id']}/password", json={"password": SECRET})
    assert await listed(server, "state=no+password") == []
    await server.api.delete(f"/users/{user['id']}")
    await created(server, "anna", password=None)
    assert await listed(server, "state=no+password") == ["anna"]


async def test_a_mistake_that_shows_only_beside_what_is_there_names_its_row_too(server: Server) -> None:
    many = [f"group {n}" for n in range(MAX_GROUPS + 1)]
    rows = [{"login": "anna"}, {"login": "bert", "groups": many}, {"login": "carl", "directory": "Nowhere"}]
    refused = await server.api.post("/users/import", json=rows)
    assert code(refused, 422) == "file-invalid"
    assert [(m["row"], m["field"]) for m in refused.json()["mistakes"]] == [(2, "groups"), (3, "directory")]
    assert (await server.api.get("/users")).json()["total"] == 0


@pytest.mark.feature("A10")
async def test_who_logs_out_everywhere_without_end_pushes_nothing_out_of_the_change_log(
    server: Server, stack: AsyncExitStack
) -> None:
    """Nor does a Slave that was taken over, which needs no password for it; it keeps nobody from doing it elsewhere."""
    user = await created(server, "anna")
    services, actor = server.services, Actor("anna", "", "", account=user["id"])
    before = services.group.position.revision
    for server_name in ("south", "east", ""):
        for _ in range(2 * USER_AT_ONCE):
            with suppress(TooOften):
                if server_name:
                    await accounts.change_own_password(services, user["id"], "", "", server_name)
                else:
                    await accounts.log_out_everywhere(services, actor)
    assert services.group.position.revision == before + 3 * USER_AT_ONCE
    anna = await as_user(server, stack, "anna")
    changed = await anna.put("/me/password", json={"current": SECRET, "new": "another one of hers"})
    assert code(changed, 429) == TOO_OFTEN
    assert (await anna.get("/me")).status_code == 200, "nothing was changed"
