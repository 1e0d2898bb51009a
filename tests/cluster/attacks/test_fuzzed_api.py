"""The REST API under thousands of requests that somebody made up from its own description: right, almost right, absurd.

A whole server answers them, over TLS. `HOSTWARD_FUZZ_EXAMPLES` makes it longer.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.support.light import LightServer

pytestmark = [pytest.mark.cluster, pytest.mark.feature("A14")]

EXAMPLES = os.environ.get("HOSTWARD_FUZZ_EXAMPLES", "3")
CHECKS = "not_a_server_error,content_type_conformance,response_schema_conformance,response_headers_conformance"
LEFT_OUT = (
    "/health/",  # 503 is an answer there
    "/logout$",  # these would end the login that all the others are made with
    "/me/logins$",
    "/api/v1/packages$",  # takes a .zip, which can't be made from a description
)
SHORTEST = 2_000
WITHIN_S = 500


def test_no_request_that_the_description_suggests_makes_it_fail(tmp_path: Path) -> None:
    server = LightServer("fuzzed", tmp_path)
    server.start()
    try:
        file = Path(__file__).parents[3] / "src/hostward/cli/demo/example-sessions.csv"
        server.api.import_(file.read_bytes())
        authorization = f"Bearer {server.api.token()}"
        with httpx.Client(verify=False) as anyone:
            described = anyone.get(f"{server.api.url}/api/v1/openapi.json").json()
        description = tmp_path / "openapi.json"
        description.write_text(json.dumps(described))
        left_out = ["--exclude-path-regex", "|".join(LEFT_OUT)]
        run = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")), "run", str(description), *left_out,
                "--url", server.api.url.removesuffix("/mss"), "--tls-verify", "false",
                "-H", f"Authorization: {authorization}",
                "--phases", "coverage,fuzzing", "--checks", CHECKS, "--continue-on-failure",
                "--max-examples", EXAMPLES, "--generation-deterministic",
                "--suppress-health-check", "all", "--request-timeout", "30", "--no-color", "--warnings", "off",
            ],
            capture_output=True, text=True, cwd=tmp_path, timeout=WITHIN_S, check=False,
        )  # fmt: skip
        assert run.returncode == 0, run.stdout[-20_000:] + run.stderr[-2_000:]
        made = next(line for line in run.stdout.splitlines() if "generated" in line)
        assert int(made.split()[0].replace(",", "")) > SHORTEST, made
        with httpx.Client(verify=False, headers={"Authorization": authorization}) as still:
            assert still.get(f"{server.api.url}/api/v1/sessions").status_code == 200, "it asked for nothing else"
        assert '"defect"' not in server.output_file.read_text()
    finally:
        server.kill()
