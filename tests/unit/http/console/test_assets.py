"""What the pages load."""

from __future__ import annotations

import gzip
import re

import pytest
from tests.unit.http.console.conftest import Browser

from hostward.http.console.assets import load_assets

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

MAX_PAGE_BYTES = 170_000


async def test_files_are_kept_for_ever_and_pages_are_light(browser: Browser) -> None:
    page = await browser.page("/settings/replication")
    names = set(re.findall(r'/mss(/static/[^"]+)"', page))
    modules = {f"/static/{n}" for n in load_assets().files if n.endswith(".js")}
    size = len(page.encode())
    for name in names | modules:
        answer = await browser.http.get(name, headers={"Accept-Encoding": "gzip"})
        assert answer.status_code == 200, name
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert re.search(r"\.[0-9a-f]{12}\.\w+$", name)
        size += int(answer.headers["content-length"])
    assert size < MAX_PAGE_BYTES
    assert (await browser.http.get("/static/console.css")).status_code == 404
    assert (await browser.http.get("/static/..%2f..%2fapp.py")).status_code == 404


def test_modules_load_each_other_by_their_served_names() -> None:
    assets = load_assets()
    for asset in assets.files.values():
        if asset.compressed is not None:
            assert gzip.decompress(asset.compressed) == asset.content
        for name in re.findall(rb'(?:import|from) "\./([^"]+)"', asset.content):
            assert name.decode() in assets.files
    assert b"fonts.g" not in b"".join(a.content for a in assets.files.values())
    for name, asset in assets.files.items():
        if name.endswith((".css", ".js")):
            assert not re.search(rb"""(?:url\(|src=|import\s)["']?https?:""", asset.content), name
