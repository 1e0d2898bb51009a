"""The doctor over the API."""

from __future__ import annotations

import pytest
from tests.unit.http.conftest import Server

pytestmark = pytest.mark.anyio


@pytest.mark.feature("R31")
async def test_findings_have_code_severity_cause_remedy_and_the_call_that_heals(server: Server) -> None:
    answer = await server.api.get("/doctor")
    assert answer.json() == {
        "ok": False,
        "findings": [
            {
                "code": "node-down",
                "severity": "error",
                "subject": "south",
                "cause": "Its node is down.",
                "remedy": "Start it.",
                "act": {
                    "label": "Remove it",
                    "method": "DELETE",
                    "path": "replication/nodes/there",
                    "body": {},
                    "command": "hostward replication remove there",
                },
            }
        ],
    }


@pytest.mark.feature("R31")
async def test_making_the_database_anew_asks_first(server: Server) -> None:
    for body in (None, {}, {"confirm": False}):
        refused = await server.api.post("/replication/database/rebuild", json=body)
        assert refused.status_code == 409
        assert refused.json()["code"] == "confirmation-required"
        assert len(refused.json()["consequences"]) == 3
    assert server.replication.rebuilt == []
    done = await server.api.post("/replication/database/rebuild", json={"confirm": True})
    assert done.status_code == 202
    assert done.json()["job"]["id"] == "job1"
    assert server.replication.rebuilt == ["admin"]
