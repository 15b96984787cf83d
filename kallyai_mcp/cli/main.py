"""The command line, `kallyai-mcp COMMAND`. Each command imports what it needs when it runs."""

import gc
import sys
from typing import get_args

import click

from kallyai_mcp import __version__
from kallyai_mcp.cli import call_commands, install_commands, sandbox_commands
from kallyai_mcp.cli.console import prepare_streams, say
from kallyai_mcp.cli.errors import SetupError
from kallyai_mcp.cli.help_texts import (
    address_options,
    json_option,
    option,
    sandbox_option,
    serve_on_sandbox,
    speed_option,
)
from kallyai_mcp.settings import Auth, Settings, SettingsError

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_WORK_WITHOUT_SETTINGS = {"install", "uninstall", "doctor"}
"""Commands that run even if the settings are not valid."""


class _Group(click.Group):
    """The commands, in the order in which a new user needs them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        del ctx
        return list(self.commands)


@click.group(cls=_Group, invoke_without_command=True, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="kallyai-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Phone calls for AI agents: an MCP server that has KallyAI call people and brings back what was agreed.

    Without a command it serves MCP on standard input and output, for a client that starts it.
    """
    context.obj = _read_settings()
    if isinstance(context.obj, SettingsError) and context.invoked_subcommand not in _WORK_WITHOUT_SETTINGS:
        raise SetupError(str(context.obj))
    if context.invoked_subcommand is None:
        context.invoke(serve)


def _read_settings() -> Settings | SettingsError:
    try:
        return Settings.from_env()
    except SettingsError as error:
        return error


@click.command(short_help="Serve MCP over stdio or HTTP.")
@option(
    "--transport",
    "How clients connect.",
    type=click.Choice(["stdio", "http", "sse"]),
    default="stdio",
    show_default=True,
)
@address_options(host="Over HTTP: the address to listen on.", port="Over HTTP; 0: a free one.", default_port=8000)
@option(
    "--auth",
    "Who may use the server over HTTP. none: anyone on this machine. secret: clients with KALLYAI_MCP_TOKEN. "
    "caller: clients with a KallyAI access token, for its account. oauth: users who sign in here, each with their "
    "own account.",
    type=click.Choice(get_args(Auth)),
    show_default="KALLYAI_AUTH, or none",
)
@serve_on_sandbox
@speed_option(10)
@click.pass_obj
def serve(
    settings: Settings,
    *,
    transport: str = "stdio",
    host: str = "127.0.0.1",
    port: int = 8000,
    auth: str | None = None,
    sandbox: bool = False,
    speed: float = 10,
) -> None:
    """Serve MCP to clients: to one on stdin and stdout, or to many over HTTP.

    http and sse are the same server: /mcp, /sse, /health and /ready.
    """
    gc.disable()  # the imports leave no garbage, and collecting makes the start 6 % slower
    embedded = sandbox or settings.sandbox
    if embedded:
        from kallyai_mcp.cli.sandbox import need_sandbox

        need_sandbox()
    if transport == "stdio":
        from kallyai_mcp.cli.serve import serve_over_stdio

        try:
            serve_over_stdio(settings, sandbox=embedded, speed=speed)
        except KeyboardInterrupt:  # before the transport has its own handler
            say("Stopped.", err=True)
            raise SystemExit(130) from None
    else:
        from kallyai_mcp.cli.serve_http import serve_over_http

        serve_over_http(settings, host, port, auth=auth or settings.auth, sandbox=embedded, speed=speed)


@click.command(short_help="Sign in through the browser.")
@option("--no-browser", "Print the link instead of opening it, and accept the pasted address.", is_flag=True)
@click.pass_obj
def login(settings: Settings, *, no_browser: bool) -> None:
    """Sign in to KallyAI through the browser."""
    from kallyai_mcp.cli.login import log_in

    log_in(settings, browser=not no_browser)


@click.command(short_help="Delete the sign-in on this machine.")
@click.pass_obj
def logout(settings: Settings) -> None:
    """Delete the sign-in on this machine."""
    from kallyai_mcp.cli.login import log_out

    log_out(settings)


@click.command(short_help="Show the account, the quota, and the last calls.")
@option(
    "--audit", "Show the audit trail: which calls were asked for, who asked, and how the user agreed.", is_flag=True
)
@sandbox_option
@json_option
@click.pass_obj
def status(settings: Settings, *, audit: bool, sandbox: bool, as_json: bool) -> None:
    """Show who is signed in, the quota, the calls in progress, and the last calls."""
    from kallyai_mcp.cli.status import show_audit, show_status

    (show_audit if audit else show_status)(settings, sandbox=sandbox, as_json=as_json)


@click.command(short_help="Check this installation; say how to fix it.")
@json_option
@click.pass_obj
def doctor(settings: Settings | SettingsError, *, as_json: bool) -> None:
    """Check this installation, and say how to fix what is wrong; the exit code is 0 if all is well."""
    from kallyai_mcp.cli.doctor import examine

    if isinstance(settings, SettingsError):
        settings = _read_settings()
    raise SystemExit(examine(settings, as_json=as_json))


_COMMANDS = (
    *(sandbox_commands.demo, install_commands.install, login, call_commands.call, call_commands.calls),
    *(call_commands.show, call_commands.cancel, call_commands.transcript, call_commands.calendar, status, doctor),
    *(serve, logout, install_commands.uninstall, sandbox_commands.sandbox),
)
for _command in _COMMANDS:
    cli.add_command(_command)


def main() -> None:
    """Run the command line: the entry point of `kallyai-mcp` and `python -m kallyai_mcp`."""
    prepare_streams()
    try:
        cli(prog_name="kallyai-mcp")
    except KeyboardInterrupt:
        sys.exit(130)
