"""The page Certificates: this server's own."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from tests.support.authority import Authority
from tests.unit.commands.servers import NeverRenewed
from tests.unit.http.console.conftest import Browser

from hostward.trust.listed import certificate_warnings

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R7"), pytest.mark.feature("R24")]

PANEL = "/settings/certificates"


def renewed(browser: Browser) -> NeverRenewed:
    rotation = browser.server.services.rotation
    assert isinstance(rotation, NeverRenewed)
    return rotation


async def test_the_own_certificate_is_shown_and_downloaded(browser: Browser) -> None:
    identity = browser.server.services.identity
    page = await browser.page(PANEL)
    for text in (identity.fingerprint, identity.server_id, "server.example.com, localhost", ">Self-signed<"):
        assert text in page
    saved = await browser.http.get(f"{PANEL}/download")
    assert saved.text == identity.certificate_pem
    assert saved.headers["content-disposition"] == 'attachment; filename="server.example.com.cer"'


async def test_it_is_renewed_after_the_question(browser: Browser) -> None:
    asked = await browser.post(f"{PANEL}/renew")
    assert (asked.status_code, asked.json()["code"]) == (409, "confirmation-required")
    assert renewed(browser).renewed == []
    done = await browser.post(f"{PANEL}/renew", confirm="yes")
    assert done.headers["hx-redirect"] == f"/mss{PANEL}"
    assert renewed(browser).renewed == [None]
    assert "It was renewed once" in await browser.page(PANEL)


async def test_an_authority_is_asked_and_what_it_gives_is_installed(browser: Browser) -> None:
    shown = (await browser.post(f"{PANEL}/request")).text
    request = "-----BEGIN" + shown.split("-----BEGIN")[1].split("</pre>")[0]
    issued = Authority().issue(request)
    missing = await browser.post(f"{PANEL}/install", pem="")
    assert missing.json()["mistakes"][0]["field"] == "pem"
    wrong = await browser.post(f"{PANEL}/install", pem="no certificate")
    assert wrong.json()["code"] == "not-a-certificate"
    assert (await browser.post(f"{PANEL}/install", pem=issued)).json()["code"] == "confirmation-required"
    assert renewed(browser).renewed == []
    assert (await browser.post(f"{PANEL}/install", pem=issued, confirm="yes")).status_code == 200
    (installed,) = renewed(browser).renewed
    assert installed is not None
    assert x509.load_pem_x509_certificate(installed.certificate_pem.encode()) == x509.load_pem_x509_certificate(
        issued.encode()
    )


async def test_browsers_may_be_shown_another_certificate_than_servers(browser: Browser) -> None:
    authority = Authority()
    host, url = browser.server.services.configuration.server.host_name, f"{PANEL}/for-browsers"

    async def send(content: bytes | None, **fields: str) -> dict[str, Any]:
        files = {} if content is None else {"file": ("web.p12", content)}
        headers = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true", "X-CSRF": browser.forgery}
        answer = await browser.http.post(url, data=fields, files=files or None, headers=headers)
        return dict(answer.json()) if answer.content else {"to": answer.headers["hx-redirect"]}

    right = authority.hand_out([host]).pkcs12(authority.chain, "export me")
    assert (await send(None, password="export me"))["mistakes"][0]["field"] == "file"
    for password in ("", "other"):
        assert (await send(right, password=password))["code"] == "wrong-password"
    assert "Browsers are shown this certificate" not in await browser.page(PANEL)
    elsewhere = authority.hand_out(["www.example.org"]).pem(authority.chain)
    asked = await send(elsewhere)
    assert (asked["code"], asked["consequences"][0]) == ("confirmation-required", "It is for www.example.org.")
    assert "Browsers are shown this certificate" not in await browser.page(PANEL)
    assert (await send(elsewhere, confirm="yes"))["to"] == f"/mss{PANEL}"
    assert "CN=www.example.org" in await browser.page(PANEL)
    assert (await send(right, password="export me"))["to"] == f"/mss{PANEL}"
    page = await browser.page(PANEL)
    assert f"CN={host}" in page
    assert "CN=www.example.org" not in page
    assert browser.server.services.identity.fingerprint in page
    assert (await browser.post(f"{url}/delete")).json()["code"] == "confirmation-required"
    assert (await browser.post(f"{url}/delete", confirm="yes")).status_code == 200
    assert "Browsers are shown this certificate" not in await browser.page(PANEL)
    assert (await browser.post(f"{url}/delete", confirm="yes")).json()["code"] == "not-found"


@pytest.mark.feature("R10")
async def test_how_long_before_its_end_it_is_warned_of_is_a_setting_and_counts_at_once(browser: Browser) -> None:
    store = browser.server.services.stores["mss"]
    (own,) = store.entries()
    left = (own.not_after - browser.server.services.clock()) / timedelta(days=1)
    assert 360 < left < 830, "longer than any setting: so the clock is moved"
    clock = store._clock
    store._clock = lambda: own.not_after.timestamp() - 100 * 86400
    try:
        assert certificate_warnings(store.entries()) == []
        page = await browser.page(PANEL)
        assert "Expires soon" not in page
        assert "Warn before a certificate expires" in page
        assert "This server only" in page
        refused = await browser.post(PANEL, **{"certificate-warning": "0"})
        assert refused.json()["mistakes"][0]["field"] == "certificate-warning"
        assert (await browser.post(PANEL, **{"certificate-warning": "101"})).status_code == 200
        page = await browser.page(PANEL)
        assert "Expires soon" in page
        assert f"expires on {own.not_after:%Y-%m-%d}" in page
        assert len(certificate_warnings(store.entries())) == 1
    finally:
        store._clock = clock


async def test_nobody_else_sees_it(stranger: Browser) -> None:
    for path in ("", "/download"):
        answer = await stranger.http.get(f"{PANEL}{path}")
        assert answer.status_code == 303
