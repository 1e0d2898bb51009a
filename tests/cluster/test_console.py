"""A group of three set up, broken and repaired in a browser alone, by the guide's labels: 5.13.3, 5.13.6 and 5.13.7."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect
from tests.cluster.walkthrough.conftest import SESSIONS, Three
from tests.support.browser import PATIENCE_S, address_of, chromium, log_in, open_browser, picture
from tests.support.server import Server
from tests.support.waiting import eventually

__all__ = ["chromium", "log_in", "open_browser"]

pytestmark = [pytest.mark.cluster, pytest.mark.feature("R24")]

REPLICATION = "/settings/replication"
CERTIFICATES = "/settings/trusted-certificates"
DONE_WITHIN_MS = 8_000 * PATIENCE_S


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Three]:
    three = Three(tmp_path_factory)
    yield three
    for server in three.all:
        server.destroy()


def import_certificate(page: Page, other: Server, here: Server) -> None:
    """5.13.3, 4 to 8."""
    shutil.copyfile(other.certificate_file, here.data_dir / "certificates" / f"{other.name}.cer")
    page.get_by_role("button", name="Import").click()
    dialog = page.get_by_role("dialog", name="Import a certificate")
    dialog.get_by_label("File name").fill(f"{other.name}.cer")
    dialog.get_by_label("Friendly name").fill(other.name)
    dialog.get_by_role("button", name="Import").click()
    expect(page.get_by_role("row", name=other.name)).to_be_visible()


def choose_role(page: Page, role: str, server: Server) -> None:
    """5.13.6 and 5.13.7, 1 to 4."""
    page.get_by_role("radio", name=role, exact=True).check()
    expect(page.get_by_role("group", name="Status of this server")).to_contain_text("Up")
    connections = page.get_by_role("region", name="Connections between the servers")
    connections.get_by_label("Database Network Adapter").select_option(server.address)
    expect(connections.get_by_label("Use HTTPS for server to server communication")).to_be_checked()


def add_server(page: Page, of: str, server: Server) -> Locator:
    """Click + Add, enter host name, port and servlet context, Save; the region that lists it."""
    region = page.get_by_role("region", name=f"{of} Servers")
    region.get_by_role("button", name="Add").click()
    dialog = page.get_by_role("dialog", name=f"Add a {of} Server")
    dialog.get_by_label("Host name").fill(server.host)
    dialog.get_by_label("Port").fill(str(server.target()["port"]))
    dialog.get_by_role("button", name="Save").click()
    expect(region.get_by_role("row", name=server.host)).to_be_visible()
    return region


def say_yes(page: Page, consequence: str) -> None:
    """Yes on the Settings update confirmation, once it has said that."""
    asked = page.get_by_role("dialog", name="Settings update")
    expect(asked).to_contain_text(consequence)
    asked.get_by_role("button", name="Yes").click()


def apply(page: Page, consequence: str) -> None:
    """Apply, Yes, and wait on the page that follows it; then back on Replication, with the status Up."""
    page.get_by_role("button", name="Apply").click()
    say_yes(page, consequence)
    follow(page)


def follow(page: Page) -> None:
    expect(page).to_have_url(re.compile("/jobs/"))
    page.get_by_role("link", name="Back to Replication").click(timeout=DONE_WITHIN_MS)
    expect(page.get_by_role("heading", name="Database Status")).to_contain_text("Up", timeout=DONE_WITHIN_MS)


def details(page: Page) -> Locator:
    page.get_by_role("button", name="Details").click()
    dialog = page.get_by_role("dialog", name="Details")
    expect(dialog.get_by_role("table", name="The group's servers")).to_be_visible()
    return dialog


def expect_healthy(page: Page, servers: list[Server]) -> None:
    """Details has these servers, each UP, NORMAL, in sync, and owning all of the data. It is closed again."""
    dialog = details(page)
    for server in servers:
        row = dialog.get_by_role("row", name=server.name)
        for told in ("UP", "NORMAL", "100 %", server.address):
            expect(row).to_contain_text(told)
    expect(dialog.get_by_role("row")).to_have_count(1 + len(servers))
    expect(dialog).not_to_contain_text("127.0.0.1")
    page.keyboard.press("Escape")


def test_a_group_is_set_up_broken_and_repaired_in_a_browser(servers: Three, log_in: Callable[..., Page]) -> None:
    master, first, second = servers.all
    pages = {server: log_in(server, CERTIFICATES) for server in servers.all}
    for here, page in pages.items():
        page.get_by_role("link", name="Management and Security Server").click()
        for other in servers.all:
            if other is not here:
                import_certificate(page, other, here)
        page.goto(f"{address_of(here)}{REPLICATION}")

    choose_role(pages[master], "Master", master)
    apply(pages[master], "The database restarts to allow for remote communication.")
    expect_healthy(pages[master], [master])
    for slave in (first, second):
        page = pages[slave]
        choose_role(page, "Slave", slave)
        masters = add_server(page, "Master", master)
        masters.get_by_role("button", name="Test Connection").click()
        tested = masters.get_by_role("region", name=f"Test Connection of {master.host}")
        expect(tested.get_by_role("listitem").filter(has_text="Versions: fine")).to_have_count(1)
        apply(page, "overwritten")
        page = pages[master]
        page.reload()
        expect(page.get_by_role("region", name="Slave Servers").get_by_role("row", name=slave.host)).to_contain_text(
            "Joined"
        )
    expect_healthy(pages[master], servers.all)
    assert [len(s.api.export()) for s in servers.all] == [SESSIONS] * 3
    details(pages[master])
    picture(pages[master], "details")
    pages[master].keyboard.press("Escape")

    # Broken: the database of a Slave dies, and every page of that server says so, live, until it is Up again.
    page = pages[first]
    before = first.signal_jvm(signal.SIGKILL)
    banner = page.locator("[data-banner]")
    expect(banner).to_be_visible()
    picture(page, "database-restarts")
    page.get_by_role("link", name="Trusted Certificates").click()  # the pages go on working meanwhile
    expect(page.get_by_role("row", name=master.name)).to_be_visible()
    expect(banner).to_be_hidden(timeout=DONE_WITHIN_MS)
    assert first.jvm_pid not in (None, before)

    # A server that is down for good is removed in Details; when it returns it says what happened, and is added again.
    second.kill()
    page = pages[master]
    dialog = details(page)
    dialog.get_by_role("button", name=f"Remove {second.name}").click()
    say_yes(page, f"Removing {second.name} from the group")
    expect(page).to_have_url(re.compile("/jobs/"))
    expect(page.get_by_text("could not be updated")).to_be_visible(timeout=DONE_WITHIN_MS)
    follow(page)
    expect_healthy(page, [master, first])
    second.start()
    returned = pages[second]
    expect(returned.get_by_text("This server was removed from its group")).to_be_visible(timeout=DONE_WITHIN_MS)
    picture(returned, "removed")
    add_server(page, "Slave", second)
    expect(
        page.get_by_role("table", name="Done before").get_by_role("row", name=f"Remove {second.name}")
    ).to_be_visible()
    apply(page, "The Master contacts all Slaves")
    expect(returned.get_by_role("heading", name="Database Status")).to_contain_text("Up", timeout=DONE_WITHIN_MS)
    expect(returned.get_by_text("This server was removed from its group")).to_be_hidden()
    expect_healthy(page, servers.all)
    eventually(lambda: [len(s.api.export()) for s in servers.all] == [SESSIONS] * 3, within_s=30)
