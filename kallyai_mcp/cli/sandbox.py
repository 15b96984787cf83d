"""`kallyai-mcp sandbox`, and the check that the sandbox is installed."""

import importlib.util
import sqlite3
from functools import partial
from pathlib import Path

import anyio
import click


def need_sandbox() -> None:
    """Check that the sandbox's dependencies are installed.

    Raises:
        click.ClickException: They are not; the message says how to install them.
    """
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("jinja2") is None:
        raise click.ClickException(
            "The sandbox is not installed. Install it with: pip install 'kallyai-mcp[sandbox]' "
            "(or run: uvx --from 'kallyai-mcp[sandbox]' kallyai-mcp sandbox)"
        )


def run_sandbox(host: str, port: int, data: Path | None, speed: float) -> None:
    """Run a sandbox over HTTP until SIGINT or SIGTERM.

    Raises:
        click.ClickException: It can't start; the message says why.
    """
    need_sandbox()
    from kallyai_mcp.sandbox.serve import serve

    def ready(url: str) -> None:
        stored = f"in {data}" if data else "in memory, gone when it stops"
        click.echo(f"KallyAI sandbox at {url} (test numbers and accounts: {url}/docs)")
        click.echo(f"State is {stored}. Calls are {speed:g} times as fast as real ones. Ctrl-C stops it.")
        click.echo(f"To use it, set KALLYAI_API_URL={url} and run: kallyai-mcp login")
        click.echo("Set KALLYAI_CONFIRM=never too, or make_call asks first when it is night where the number is.")

    try:
        anyio.run(partial(serve, host, port, data, speed, ready=ready))
    except OSError as error:
        if error.filename is not None:  # the data's folder; a busy address has no file name
            raise click.ClickException(f"{error.filename} can't be created: {error.strerror}") from None
        raise click.ClickException(f"{host}:{port} can't be listened on: {error.strerror or error}") from None
    except sqlite3.Error as error:
        raise click.ClickException(f"{data} can't be used as the sandbox's data: {error}") from None
