"""A real browser for tests: its pages fail the test where a script does, or where they ask another server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright
from tests.support.api import PASSWORD
from tests.support.light import LightGroup
from tests.support.server import CONTEXT, HTTPS_PORT, Server

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PATIENCE_S = 15.0 * float(os.environ.get("HOSTWARD_TEST_PATIENCE", "1"))


def address_of(server: Server) -> str:
    return f"https://{server.address}:{HTTPS_PORT}/{CONTEXT}"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Ended with its module: while it is there, its event loop is the main thread's, and nothing else can run one."""
    assert CHROMIUM, "there is no Chromium: apt-get install chromium, then run again"
    expect.set_options(timeout=PATIENCE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def open_browser(chromium: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """A browser of its own, with nobody logged in. It fails the test where a page's script does, or a page asks another
    server for anything."""
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def make(width: int = 1280, theme: Literal["light", "dark"] = "light", height: int = 900) -> BrowserContext:
        context = chromium.new_context(
            ignore_https_errors=True,
            viewport={"width": width, "height": height},
            color_scheme=theme,
            reduced_motion="reduce",
            locale="en-GB",
        )
        context.set_default_timeout(PATIENCE_S * 1000)
        context.on("weberror", lambda error: wrong.append(str(error.error)))
        context.on("console", lambda m: wrong.append(m.text) if "Content Security Policy" in m.text else None)
        context.on(
            "request", lambda r: wrong.append(r.url) if not r.url.startswith(("https://127.", "data:")) else None
        )
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()
    assert not wrong, wrong


@pytest.fixture
def log_in(open_browser: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """A page of that server, with an administrator logged in."""

    def open_page(server: Server, path: str = "/", **how: object) -> Page:
        page = open_browser(**how).new_page()
        page.goto(f"{address_of(server)}{path}")
        enter(page)
        return page

    return open_page


def enter(page: Page) -> None:
    page.get_by_label("User name").fill("admin")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Administrative Console")).to_be_attached()
    page.wait_for_load_state()  # its scripts listen for keys from then on


def choose(place: Page | Locator, field: str, *names: str) -> None:
    """Choose these in a field of names, by keyboard."""
    box = place.get_by_role("combobox", name=field, exact=True)
    for name in names:
        box.fill(name)
        box.press("Enter")
        expect(place.get_by_role("button", name=f"Remove {name}", exact=True)).to_be_visible()


def loaded_bytes(page: Page, url: str, shown: Locator) -> float:
    """What a page and all it loads weigh on the wire, without a cache, once `shown` is there."""
    network = page.context.new_cdp_session(page)
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    network.send("Network.enable")
    network.send("Network.setCacheDisabled", {"cacheDisabled": True})
    page.goto(url)
    page.evaluate("document.fonts.ready.then(() => true)")
    expect(shown).to_be_visible()
    assert len(sizes) >= 10
    return sum(sizes)


def picture(page: Page, name: str) -> None:
    """Take one for the guide, where `make pictures` asks for them: so they show what the tests see. All are of one
    width, in the light theme."""
    directory = os.environ.get("HOSTWARD_PICTURES")
    if not directory:
        return
    before = page.viewport_size
    page.set_viewport_size({"width": 1280, "height": 900})
    page.emulate_media(color_scheme="light")
    page.screenshot(path=Path(directory) / f"{name}.png", animations="disabled")
    page.emulate_media(color_scheme="null")
    if before is not None:
        page.set_viewport_size(before)


def formed(group: LightGroup) -> Iterator[LightGroup]:
    """A group that runs until its tests are over."""
    with ThreadPoolExecutor(1) as beside_playwright:  # whose loop runs in this thread
        beside_playwright.submit(group.form).result()
    yield group
    for server in group.servers:
        server.kill()
