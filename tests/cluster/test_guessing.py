"""Guessing passwords on all servers of a group, and logins taken from one server to another, without a JVM."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing

import httpx
import pytest
from tests.support.api import PASSWORD, Api
from tests.support.light import LightGroup
from tests.support.server import Server
from tests.support.waiting import eventually

from hostward.access.throttle import LIMITS

pytestmark = [pytest.mark.cluster, pytest.mark.feature("A10")]

GUESSERS_ADDRESS = "127.0.0.99"
"""From where nobody else logs in."""
FREE = LIMITS["pair"].free
HEARD_WITHIN_S = 60.0
WRONG, WAITS = 401, 429


def client(server: Server, stack: ExitStack, address: str | None = None) -> httpx.Client:
    transport = httpx.HTTPTransport(verify=False, local_address=address)
    return stack.enter_context(httpx.Client(transport=transport, base_url=f"{server.api.url}/api/v1/"))


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def guess(there: httpx.Client) -> int:
    status = there.post("login", json={"user": "admin", "password": "wrong one"}).status_code
    assert status in (WRONG, WAITS)
    return status


def test_who_guesses_on_two_servers_has_to_wait_on_the_third(light: LightGroup, stack: ExitStack) -> None:
    for server in light.servers:
        server.api.get("me")
    first, second, third = (client(s, stack, GUESSERS_ADDRESS) for s in light.servers)
    for _ in range(FREE):
        guess(first)
        guess(second)
    wrong = 0

    def waits() -> bool:
        nonlocal wrong
        for there in (first, second):
            guess(there)
        answer = guess(third)
        wrong += answer == WRONG
        return answer == WAITS

    eventually(waits, within_s=HEARD_WITHIN_S, every_s=3.0)
    assert wrong < FREE, "by then it would have had to wait for what it has guessed there alone"
    # Administrators come in meanwhile.
    for server in light.servers:
        with closing(Api(server.api.url, server.certificate_file)) as there:
            assert there.get("me")["user"] == "admin"


def test_a_login_is_good_on_its_own_server_alone(light: LightGroup, stack: ExitStack) -> None:
    """Of an administrator and of a user of the group, as a token and as the console's cookie."""
    light.master.api.post("users", {"name": "theft", "password": PASSWORD, "role": "administrator"})
    light.wait_equal()
    here = light.master
    ids = {s.name: str(s.api.get("server")["server"]) for s in light.servers}
    for user in ("admin", "theft"):
        there = client(here, stack)
        stolen = [there.post("login", json={"user": user, "password": PASSWORD}).json()["token"]]
        there.headers["Authorization"] = f"Bearer {stolen[0]}"
        stolen.append(there.post("tokens", json={"name": f"program of {user}"}).json()["token"])
        form = {"user": user, "password": PASSWORD}
        entered = there.post(f"{here.api.url}/login", data=form, headers={"Sec-Fetch-Site": "same-origin"})
        stolen.append(entered.headers["set-cookie"].partition("=")[2].partition(";")[0])
        for server in light.servers:
            expected = (200, 200) if server is here else (401, 303)
            for secret in stolen:
                thief = client(server, stack)
                asked = thief.get("me", headers={"Authorization": f"Bearer {secret}"})
                cookie = f"__Host-hostward-{ids[server.name][:8]}={secret}"
                shown = thief.get(f"{server.api.url}/settings/general", headers={"Cookie": cookie})
                assert (asked.status_code, shown.status_code) == expected
