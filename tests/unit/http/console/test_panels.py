"""The panels: what they show for each role, and that they do what the API does, no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.http.console.conftest import Browser

from hostward.domain.replication import Role, Target
from hostward.trust.identity import load_or_create

pytestmark = [pytest.mark.anyio, pytest.mark.feature("R24")]

PANEL = "/settings/replication"
CERTIFICATES = "/settings/trusted-certificates"
ADAPTERS = [
    {"name": "eth0", "address": "10.0.0.1", "loopback": False, "up": True},
    {"name": "lo", "address": "127.0.0.1", "loopback": True, "up": True},
]
JOB = {
    "id": "job1",
    "kind": "standalone to master",
    "state": "running",
    "reason": "The node starts.",
    "progress_percent": 40,
}
SHOWN: dict[str, dict[str, Any]] = {
    "standalone": {"adapters": ADAPTERS},
    "master": {
        "role": "master", "wanted_role": "master", "adapter": "10.0.0.1", "adapters": ADAPTERS,
        "database_status": "Status unavailable due to registry restart", "reason": "The Slaves are told.",
        "slaves": [{"host": "south.example.com", "port": 443, "context": "mss", "server_id": "s", "joined": True}],
        "warnings": ["The default passphrase is in use."], "job": JOB,
    },
    "slave": {
        "role": "slave", "wanted_role": "slave", "adapter": "10.0.0.9", "adapters": ADAPTERS, "lag_changes": 7,
        "database_status": "Down", "master": {"host": "north.example.com", "port": 8443, "context": "mss"},
        "removed": "The Master has removed this server.",
        "claim": {"server": "x", "server_name": "west", "meaning": "west was made the Master by force."},
    },
}  # fmt: skip
HOSTILE_NAME = '"><img src=x onerror=alert(1)>'
HOSTILE = "\"><script>alert(1)</script>'{{7*7}}"


def master(host: Any, port: Any, context: Any) -> dict[str, Any]:
    return {"master__host": host, "master__port": port, "master__context": context}


def show(browser: Browser, role: str) -> None:
    browser.server.replication.shown = SHOWN[role]


@pytest.mark.parametrize("role", SHOWN)
@pytest.mark.feature("R2")
async def test_each_page_shows_role_and_database_status(browser: Browser, role: str) -> None:
    show(browser, role)
    for path in (PANEL, CERTIFICATES, f"{CERTIFICATES}/security-proxy", "/jobs/job1"):
        page = await browser.page(path)
        assert f'data-live="role">{role.capitalize()}<' in page
        assert SHOWN[role].get("database_status", "Up") in page
        assert "Configure Settings" in page
        assert "Metering" not in page  # what isn't built isn't offered


async def test_the_panel_has_the_guides_labels(browser: Browser) -> None:
    show(browser, "master")
    page = await browser.page(PANEL)
    for label in (
        "Standalone", "Master", "Slave", "Database Status", "Details", "Database Network Adapter", "Global protocol",
        "Use HTTPS for server to server communication", "Passphrase", "Master Servers", "Slave Servers",
        "Test Connection", "Delete", "Apply", "Servlet context", "Host name", "Port", "Settings update", "Yes", "No",
        "This server only", "Replicated",
    ):  # fmt: skip
        assert f">{label}<" in page.replace(" <", "<"), label
    assert "eth0 · 10.0.0.1" in page
    assert "south.example.com" in page
    assert "The default passphrase is in use." in page
    assert "The node starts." in page
    show(browser, "slave")
    page = await browser.page(PANEL)
    assert "10.0.0.9 (gone)" in page
    assert "north.example.com" in page
    assert "Follow west" in page
    assert "This server was removed from its group" in page
    assert "go on alone" in page


async def test_apply_asks_first_and_then_does_it(browser: Browser) -> None:
    show(browser, "standalone")
    row = {"master__host": "Master.example.com", "master__port": "8443", "master__context": "mss"}
    fields: dict[str, Any] = {
        "role": "slave",
        "adapter": "10.0.0.1",
        "https": "yes",
        "passphrase": "se cret",
        "passphrase-again": "se cret",
        **row,
    }
    asked = await browser.post(PANEL, **fields)
    problem = asked.json()
    assert (asked.status_code, problem["code"]) == (409, "confirmation-required")
    assert problem["consequences"] == ["This server becomes slave."]
    assert browser.server.replication.applied == []
    done = await browser.post(PANEL, confirm="yes", **fields)
    assert (done.status_code, done.headers["hx-redirect"]) == (200, "/mss/jobs/job1")
    ((wanted, author),) = browser.server.replication.applied
    assert (wanted.role, wanted.adapter, wanted.protocol, author) == (Role.SLAVE, "10.0.0.1", "https", "admin")
    assert wanted.master == Target("master.example.com", 8443, "mss")
    assert wanted.passphrase is not None
    assert wanted.passphrase.reveal() == "se cret"
    assert "se cret" not in done.text + asked.text + await browser.page(PANEL)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "role"),
        ({"role": "master", "passphrase": "a", "passphrase-again": "b"}, "passphrase-again"),
        ({"role": "slave", **master(["a.example.com", "b.example.com"], ["1", "2"], ["mss", "mss"])}, "master"),
        ({"role": "slave", **master("no host", "1", "mss")}, "master.host"),
        ({"role": "slave", **master("a.example.com", "x", "mss")}, "port"),
    ],
)
async def test_mistakes_come_with_their_field(browser: Browser, fields: dict[str, Any], field: str) -> None:
    refused = await browser.post(PANEL, confirm="yes", **fields)
    assert refused.status_code == 422
    assert [m["field"] for m in refused.json()["mistakes"]] == [field]
    assert all(m["problem"] and m["remedy"] for m in refused.json()["mistakes"])
    assert browser.server.replication.applied == []


async def test_the_slave_table_is_sent_where_it_was_edited_alone(browser: Browser) -> None:
    show(browser, "master")
    were = {"slaves__were": "south.example.com:443/mss"}
    row = {"slaves__host": "south.example.com", "slaves__port": "443", "slaves__context": "mss"}
    await browser.post(PANEL, role="master", https="yes", confirm="yes", **were, **row)
    await browser.post(PANEL, role="master", https="yes", confirm="yes", **were)
    assert [wanted.slaves for wanted, _ in browser.server.replication.applied] == [None, ()]
    stale = await browser.post(
        PANEL, role="master", https="yes", confirm="yes", slaves__were="gone.example.com:443/mss"
    )
    assert (stale.status_code, len(browser.server.replication.applied)) == (412, 2)


async def test_a_row_is_checked_when_it_is_saved_and_kept_when_it_is_applied(browser: Browser) -> None:
    saved = await browser.post(f"{PANEL}/rows/slaves", host="South.example.com", port="443", context="mss")
    assert 'name="slaves.host" value="south.example.com"' in saved.text
    refused = await browser.post(f"{PANEL}/rows/slaves", host=HOSTILE, port="0", context="/mss")
    assert {m["field"] for m in refused.json()["mistakes"]} == {"host", "port", "context"}
    assert (await browser.post(f"{PANEL}/rows/nothing", host="a", port="1", context="mss")).status_code == 422


async def test_test_connection_shows_each_check(browser: Browser) -> None:
    shown = await browser.post(f"{PANEL}/test", host="a.example.com", port="443", context="mss", https="yes")
    assert shown.text.count("<li") == 3
    for text in ("Host name", "It is there.", "Nothing listens at a.example.com.", "Check the port.", "not tried"):
        assert text in shown.text
    assert browser.server.replication.tested == [(Target("a.example.com", 443, "mss"), "https", None)]


async def test_details_and_its_acts(browser: Browser) -> None:
    show(browser, "master")
    browser.server.replication.rows = [
        {
            "server": "s1", "server_name": "south", "host_id": "there", "role": "slave", "local_instance": False,
            "in_sync": False, "lag_changes": 3, "status": "DOWN", "owns_percent": None,
        }
    ]  # fmt: skip
    details = (await browser.http.get(f"{PANEL}/details")).text
    for text in (
        "Local Instance Address",
        "100 %",
        "DOWN",
        "3 changes",
        "Host Id there",
        "Remove south",
        "Make south the Master",
    ):
        assert text in details
    asked = await browser.post(f"{PANEL}/nodes/there/remove")
    assert asked.status_code == 409, asked.text
    assert (asked.status_code, len(asked.json()["consequences"])) == (409, 4)
    assert browser.server.replication.removed == []
    await browser.post(f"{PANEL}/nodes/there/remove", confirm="yes")
    assert browser.server.replication.removed == ["there"]
    for path, fields in (("switch-over", {"to": "s1"}), ("promote", {}), ("follow", {"server": "x"})):
        assert (await browser.post(f"{PANEL}/{path}", **fields)).status_code == 409
        assert (await browser.post(f"{PANEL}/{path}", confirm="yes", **fields)).status_code == 200
    assert browser.server.replication.promoted == ["switch-over s1 admin", "promote False admin", "follow x admin"]
    findings = (await browser.http.get(f"{PANEL}/findings")).text
    assert "Its node is down." in findings
    assert f'hx-post="/mss{PANEL}/nodes/there/remove"' in findings


async def test_a_job_shows_its_steps_and_is_asked_for_again_while_it_runs(browser: Browser) -> None:
    began, went_on = "2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z"
    steps = [
        {"name": "adapter", "state": "done", "started": began, "ended": went_on, "detail": ""},
        {"name": "node", "state": "running", "started": went_on, "ended": "", "detail": "The node starts."},
        {"name": "up", "state": "pending", "started": "", "ended": "", "detail": ""},
    ]
    browser.server.replication.jobs_shown["job1"] = {"steps": steps, "notices": ["south could not be updated."]}
    page = await browser.page("/jobs/job1")
    for text in ("Adapter", "The node starts.", 'aria-current="step"', "south could not be updated.", "hx-trigger"):
        assert text in page
    browser.server.replication.jobs_shown["job1"] = {"steps": steps, "state": "done", "notices": []}
    part = (await browser.http.get("/jobs/job1?part=1")).text
    assert "<html" not in part
    assert "hx-trigger" not in part
    missing = await browser.http.get("/jobs/nothing")
    assert (missing.status_code, "There is no such job." in missing.text) == (404, True)


@pytest.mark.feature("R7")
async def test_a_certificate_is_imported_by_file_name_or_text_and_deleted(browser: Browser, tmp_path: Path) -> None:
    services = browser.server.services
    (tmp_path / "other").mkdir()
    other = load_or_create(tmp_path / "other", "south.example.com", [], services.clock())
    (services.data_dir / "certificates").mkdir(exist_ok=True)
    (services.data_dir / "certificates" / "south.cer").write_text(other.certificate_pem)
    path = f"{CERTIFICATES}/mss"
    missing = await browser.post(f"{path}/import", friendly_name="south", file_name="")
    assert [m["field"] for m in missing.json()["mistakes"]] == ["file_name"]
    done = await browser.post(f"{path}/import", friendly_name="south", file_name="south.cer")
    assert done.headers["hx-redirect"] == f"/mss{path}"
    page = await browser.page(path)
    assert "<b>south</b>" in page
    assert other.fingerprint in page
    text = {"from": "text", "pem": other.certificate_pem, "friendly_name": HOSTILE_NAME}
    assert (await browser.post(f"{CERTIFICATES}/security-proxy/import", **text)).status_code == 200
    asked = await browser.post(f"{path}/delete", friendly_name="south")
    assert (asked.status_code, asked.json()["code"]) == (409, "confirmation-required")
    await browser.post(f"{path}/delete", friendly_name="south", confirm="yes")
    assert other.fingerprint not in await browser.page(path)
    assert 'href="/mss/settings/certificates/download"' in await browser.page(path)
    own = await browser.http.get("/settings/certificates/download")
    assert own.text == services.identity.certificate_pem
    assert own.headers["content-disposition"].endswith('.cer"')


async def test_hostile_names_stay_text(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = load_or_create(tmp_path / "other", "south.example.com", [], browser.server.services.clock())
    text = {"from": "text", "pem": other.certificate_pem, "friendly_name": HOSTILE_NAME}
    assert (await browser.post(f"{CERTIFICATES}/mss/import", **text)).status_code == 200
    place = {"host": HOSTILE, "port": 1, "context": HOSTILE, "server_id": "s", "joined": False}
    browser.server.replication.shown = SHOWN["slave"] | {
        "server_name": HOSTILE, "reason": HOSTILE, "warnings": [HOSTILE], "slaves": [place], "master": place,
        "adapters": [{"name": HOSTILE, "address": HOSTILE, "loopback": False, "up": True}],
        "job": JOB | {"reason": HOSTILE, "kind": HOSTILE}, "adapter": HOSTILE,
    }  # fmt: skip
    browser.server.replication.rows = [
        {"server_name": HOSTILE, "address": HOSTILE, "host_id": HOSTILE, "detail": HOSTILE}
    ]
    browser.server.replication.jobs_shown["job1"] = {"kind": HOSTILE, "reason": HOSTILE, "notices": [HOSTILE]}
    for path in (
        PANEL,
        f"{CERTIFICATES}/mss",
        "/jobs/job1",
        f"{PANEL}/details",
        f"{PANEL}/state",
        "/jobs/%22%3E%3Cscript%3E",
    ):
        answer = await browser.http.get(path)
        assert "<script>" not in answer.text, path
        assert "<img src=x" not in answer.text, path
        assert "alert(1)</script>" not in answer.text, path
        assert "{{7*7}}" in answer.text or "%3C" in path


async def test_unknown_pages_and_stores_are_said_so(browser: Browser) -> None:
    missing = await browser.http.get(f"{CERTIFICATES}/nothing")
    assert missing.status_code == 404
    assert "Trusted Certificates" in missing.text  # with the navigation around it


@pytest.mark.feature("R22")
async def test_general_settings_are_a_form_made_of_their_declaration(browser: Browser) -> None:
    page = await browser.page("/settings/general")
    for text in (
        "General Settings",
        "Concurrency Lock Timeout",
        "Console idle timeout",
        "Replicated",
        'value="30"',
        "From 1 to 1440 minutes",
    ):
        assert text in page
    refused = await browser.post("/settings/general", **{"concurrency-lock-timeout": "0"})
    assert refused.json()["mistakes"][0]["field"] == "concurrency-lock-timeout"
    done = await browser.post("/settings/general", **{"concurrency-lock-timeout": "5"})
    assert done.headers["hx-redirect"] == "/mss/settings/general"
    assert 'value="5"' in await browser.page("/settings/general")
    browser.server.replication.master_url = "https://north.example.com"
    asked = await browser.post("/settings/general", **{"concurrency-lock-timeout": "6"})
    assert "/change-requests/" in asked.headers["hx-redirect"]
    request = asked.headers["hx-redirect"].removeprefix("/mss")
    assert 'inputmode="numeric"' in await browser.page(f"{request}/edit")
    wrong = await browser.post(f"{request}/edit", e0__kept="yes", e0__value="0")
    assert wrong.json()["mistakes"][0]["field"] == "e0.concurrency-lock-timeout"
