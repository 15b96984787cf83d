"""The command line, `kallyai-mcp COMMAND`. Each command imports what it needs when it runs."""

import errno
import importlib
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

import click

from kallyai_mcp import __version__
from kallyai_mcp.cli.output import (
    SetupError,
    address_options,
    explain,
    prepare_streams,
    sandbox_option,
    say,
    speed_option,
    why_not_written,
)
from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import Auth, Settings, declarations
from kallyai_mcp.transports.standard_streams import discard

_WORK_WITHOUT_SETTINGS = {"install", "uninstall", "doctor"}
"""Commands that run even if the settings are not valid."""

_SECTIONS = {
    "First steps": {
        "demo": ("demo", "Show a call, from sign-in to transcript."),
        "install": ("install", "Add this server to a client."),
        "login": ("login", "Sign in through the browser."),
    },
    "Your calls": {
        "call": ("call", "Place a call, and see what was agreed."),
        "calls": ("calls", "List your calls, newest first."),
        "show": ("calls", "Show how a call or a list ended."),
        "cancel": ("calls", "Cancel a scheduled call or a list."),
        "transcript": ("calls", "Show who said what in a call."),
        "calendar": ("calls", "Print a call's appointment (.ics)."),
        "opt-outs": ("opt_outs", "List who asked for no more calls."),
    },
    "This machine": {
        "status": ("status", "Show account, quota, and last calls."),
        "doctor": ("doctor", "Check this installation."),
        "logout": ("login", "Delete the sign-in on this machine."),
        "uninstall": ("install", "Remove this server from a client."),
    },
    "Servers": {
        "serve": ("main", "Serve MCP over stdio or HTTP."),
        "admin": ("admin", "Look after the calls of all accounts."),
        "sandbox": ("sandbox", "Run a complete KallyAI here."),
    },
}
"""The sections of the help: each command's module and line, in the order in which a new user needs
them.
"""

_COMMANDS = {name: row for rows in _SECTIONS.values() for name, row in rows.items()}


class _Formatter(click.HelpFormatter):
    """Help whose right column is wide enough for words on a narrow terminal, too."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        super().write_dl(rows, min(col_max, self.width // 3), col_spacing)

    def write_heading(self, heading: str) -> None:
        """Write it in bold where colors are wanted."""
        from kallyai_mcp.cli.screen import terminal_of  # late: a server needs none

        shown = f"{heading}:"
        if terminal_of(err=False).has_colors:
            shown = click.style(shown, bold=True)
        self.write(f"{'':>{self.current_indent}}{shown}\n")


class _Context(click.Context):
    formatter_class = _Formatter


class _Group(click.Group):
    """The commands. The module of each is imported when the command is used."""

    context_class = _Context

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the order of the table; click sorts them."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The commands by sections, with their lines in one column."""
        widest = max(map(len, _COMMANDS))
        for title, commands in _SECTIONS.items():
            with formatter.section(title):
                rows = [(name.ljust(widest), line) for name, (_, line) in commands.items()]
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command itself, in place of that which has only its name and its line in the help."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None:
            command = getattr(
                importlib.import_module(f"kallyai_mcp.cli.{_COMMANDS[name][0]}"),
                name.replace("-", "_"),
            )
            command.context_class = _Context
        return name, command, rest


@click.group(
    cls=_Group,
    commands={name: click.Command(name, short_help=line) for name, (_, line) in _COMMANDS.items()},
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="kallyai-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Phone calls for AI agents: an MCP server that has KallyAI call people and brings back what
    was agreed.

    Without a command it serves MCP on standard input and output, for a client that starts it.
    """
    try:
        context.obj = Settings.from_env()
    except SettingsError as error:
        context.obj = error
        if context.invoked_subcommand not in _WORK_WITHOUT_SETTINGS:
            raise SetupError(str(error)) from None
    if context.invoked_subcommand is None:
        context.invoke(serve)


class _WithSettings(click.Command):
    """A command whose help ends with the settings."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Each setting, by its environment variable."""
        with formatter.section("Settings (environment variables)"):
            formatter.write_dl([(one.variable, one.about.words) for one in declarations()])


@click.command(cls=_WithSettings)
@click.option(
    "--transport", type=click.Choice(["stdio", "http", "sse"]), default="stdio", show_default=True
)
@address_options(default_port=8000)
@click.option(
    "--auth",
    type=click.Choice(get_args(Auth)),
    show_default="KALLYAI_AUTH, or none",
    help="Who may use the server over HTTP. none: anyone on this machine. secret: clients with "
    "KALLYAI_MCP_TOKEN. "
    "caller: clients with a KallyAI access token, for its account. oauth: users who sign in here, "
    "each with their own "
    "account.",
)
@sandbox_option
@speed_option(10)
@click.pass_obj
def serve(
    settings: Settings, *, transport: str, host: str, port: int, auth: Auth | None, speed: float
) -> None:
    """Serve MCP to clients: to one on stdin and stdout, or to many over HTTP.

    http and sse are the same server: /mcp, /sse, /health and /ready.
    """
    if transport == "stdio":
        from kallyai_mcp.cli.serve import serve_over_stdio

        serve_over_stdio(settings, speed=speed)
    else:
        from kallyai_mcp.cli.serve_http import serve_over_http

        serve_over_http(replace(settings, auth=auth or settings.auth), host, port, speed=speed)


def main(*arguments: Any) -> None:
    """Run the command line: the entry point of `kallyai-mcp` and `python -m kallyai_mcp`."""
    prepare_streams()
    columns = shutil.get_terminal_size().columns
    # Click takes no width below 50 by itself.
    narrow = {"terminal_width": columns} if columns < 50 else {}
    try:
        # not `standalone_mode`, in which click says "Aborted!" after Ctrl-C
        code = cli(*arguments, prog_name="kallyai-mcp", standalone_mode=False, **narrow)
        sys.stdout.flush()
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        _show(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except OSError as error:
        discard(1)  # it is closed or full, or its reader has left, who needs no message
        if error.errno not in (errno.EPIPE, errno.EINVAL):
            explain(f"Error: the output can't be written: {why_not_written(error)}.", err=True)
        sys.exit(1)


def _show(error: click.ClickException) -> None:
    try:
        if isinstance(error, click.UsageError) and error.ctx is not None:
            _show_usage(error, error.ctx)
        else:
            error.show()
    except OSError:
        discard(2)  # where stderr takes no message, the exit code still says it


def _show_usage(error: click.UsageError, context: click.Context) -> None:
    """What click shows of a wrong command, with lines that end between words."""
    say(context.get_usage(), err=True)
    explain(f"Try '{context.command_path} --help' for help.\n", err=True)
    explain(f"Error: {error.format_message()}", err=True)
