"""The server of a task, over stdio: kallyai-mcp with the time of the task.

    python -m kallyai_mcp.evals.server CLOCK_FILE

Everything else is as in `kallyai-mcp serve`, by the settings in its environment.
"""

import sys
from pathlib import Path

import anyio

from kallyai_mcp.cli.app_context import open_app_context
from kallyai_mcp.cli.connection import Connection
from kallyai_mcp.evals.task_clock import ServerClock, TaskTime
from kallyai_mcp.evals.task_files import TIMEZONE
from kallyai_mcp.logs.setup import configure
from kallyai_mcp.server.build import build_server
from kallyai_mcp.settings import Settings
from kallyai_mcp.transports.stdio import serve_stdio


def main(clock_file: Path) -> None:
    """Serve one client until it leaves."""
    settings = Settings.from_env()
    configure(settings.log_level, settings.log_format)
    connection = Connection(settings)
    connection.clock = ServerClock(TaskTime(clock_file))
    server = build_server(lambda: open_app_context(connection, timezone=TIMEZONE))
    anyio.run(serve_stdio, server)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
