"""The command line: a client of the REST API, plus `serve`, `nodetool` and `demo`.

`main` is the entry point. Nothing heavy is imported before a command needs it.
"""

from __future__ import annotations

import sys

from hostward.cli.problems import EXIT_INTERRUPTED, exit_code_of, show_error
from hostward.domain.errors import HostwardError


def main(arguments: list[str] | None = None) -> None:
    """Run one command and end the process: 0 done, 1 refused or failed, 2 used wrongly, 3 server unreachable."""
    from hostward.cli.app import app
    from hostward.cli.options import Invocation

    invocation = Invocation()
    try:
        app(args=arguments, prog_name="hostward", obj=invocation)
    except HostwardError as error:
        show_error(error, as_json=invocation.as_json)
        sys.exit(exit_code_of(error))
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
