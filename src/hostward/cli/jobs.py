"""`hostward job …`: what was set off and is under way or ended."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from hostward.cli.options import Call, client_command
from hostward.cli.replication import follow as follow_job

app = typer.Typer(help="Jobs: changes of role and membership, with their steps.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id.")]


@client_command(app, "list")
def list_jobs(call: Call) -> None:
    """List the newest jobs, the newest first."""
    from hostward.cli.output import table

    answer = call.api.get("jobs")
    items = reversed(answer["items"])
    rows = [(j["id"], j["kind"], j["state"], f"{j.get('progress_percent')} %", j.get("reason")) for j in items]
    call.show(answer, table(("Id", "Kind", "State", "Done", "Reason"), rows))


@client_command(app, "show")
def show(call: Call, job_id: JobId) -> None:
    """Show a job's steps."""
    from hostward.cli.output import facts, table

    job = call.api.get(f"jobs/{quote(job_id, safe='')}")
    rows = [(s["name"], s["state"], s.get("started"), s.get("ended"), s.get("detail")) for s in job.get("steps") or []]
    head = facts([("Job", job["id"]), ("Kind", job["kind"]), ("State", job["state"]), ("Reason", job.get("reason"))])
    call.show(job, head, "", table(("Step", "State", "Started", "Ended", "Detail"), rows))


@client_command(app, "follow")
def follow(call: Call, job_id: JobId) -> None:
    """Show a job's steps as they happen, until it is done or has failed."""
    follow_job(call, job_id)
