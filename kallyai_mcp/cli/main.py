"""The command line, `kallyai-mcp COMMAND`. Each command imports what it needs when it runs."""

import gc
import sys
from pathlib import Path
from typing import get_args

import click

from kallyai_mcp import __version__
from kallyai_mcp.cli.console import prepare_streams, say
from kallyai_mcp.cli.errors import SetupError
from kallyai_mcp.settings import Auth, Settings, SettingsError

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_WORK_WITHOUT_SETTINGS = {"install", "uninstall", "doctor"}
"""Commands that run even if the settings are not valid."""

CLIENT_KEYS = (
    *("claude-desktop", "claude-code", "cursor", "vscode", "vscode-insiders", "vscodium", "codex"),
    *("windsurf", "windsurf-next", "gemini", "opencode", "zed", "goose", "cline"),
)
"""The keys of `clients.known.CLIENTS`; repeated here, so that the other commands don't import that module."""


CALL_COMMANDS = ("call", "calls", "show", "cancel", "transcript", "calendar")
"""The commands in `call_commands`, which is imported only when one of them is used or listed."""


class _Group(click.Group):
    """The commands, with those of `CALL_COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order in which a new user needs them."""
        del ctx
        first = ["demo", "install", "login", *CALL_COMMANDS, "status", "doctor"]
        return [*first, *(name for name in self.commands if name not in first)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name in CALL_COMMANDS:
            from kallyai_mcp.cli import call_commands

            command: click.Command = getattr(call_commands, cmd_name)
            return command
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; for a misspelled name the error names those that are close."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError:
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), 3, 0.6)
            if args[0].startswith("-") or not near:
                raise
            words = f"there is no command {args[0]!r}; did you mean {' or '.join(near)}?"
            raise click.UsageError(words, ctx) from None


@click.group(cls=_Group, invoke_without_command=True, context_settings=_CONTEXT)
@click.version_option(__version__, prog_name="kallyai-mcp")
@click.pass_context
def cli(context: click.Context) -> None:
    """Phone calls for AI agents: an MCP server that has KallyAI call people and brings back what was agreed.

    Without a command it serves MCP on standard input and output, for a client that starts it.
    """
    try:
        context.obj = Settings.from_env()
    except SettingsError as error:
        if context.invoked_subcommand not in _WORK_WITHOUT_SETTINGS:
            raise SetupError(str(error)) from None
        context.obj = error
    if context.invoked_subcommand is None:
        context.invoke(serve)


@cli.command(short_help="Serve MCP over stdio or HTTP.")
@click.option(
    "--transport",
    type=click.Choice(["stdio", "http", "sse"]),
    default="stdio",
    show_default=True,
    help="How clients connect.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Over HTTP: the address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Over HTTP; 0: a free one."
)
@click.option(
    "--auth",
    type=click.Choice(get_args(Auth)),
    show_default="KALLYAI_AUTH, or none",
    help="Over HTTP, who may use the server: anyone on this machine; clients with KALLYAI_MCP_TOKEN; clients with a "
    "KallyAI access token, for its account; or users who sign in here, each with their own account.",
)
@click.option("--sandbox", is_flag=True, help="Serve on an embedded sandbox: no account needed, nobody is called.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=10, show_default=True,
              help="How many times faster than real the sandbox's calls are.")  # fmt: skip
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


@cli.command(short_help="Sign in through the browser.")
@click.option("--no-browser", is_flag=True, help="Print the link instead of opening it, and accept the pasted address.")
@click.pass_obj
def login(settings: Settings, *, no_browser: bool) -> None:
    """Sign in to KallyAI through the browser."""
    from kallyai_mcp.cli.login import log_in

    log_in(settings, browser=not no_browser)


@cli.command(short_help="Delete the sign-in on this machine.")
@click.pass_obj
def logout(settings: Settings) -> None:
    """Delete the sign-in on this machine."""
    from kallyai_mcp.cli.login import log_out

    log_out(settings)


@cli.command(short_help="Show the account, the quota, and the last calls.")
@click.option(
    "--audit",
    is_flag=True,
    help="Show the audit trail: which calls were asked for, who asked, and how the user agreed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def status(settings: Settings, *, audit: bool, as_json: bool) -> None:
    """Show who is signed in, the quota, the calls in progress, and the last calls."""
    from kallyai_mcp.cli.status import show_audit, show_status

    (show_audit if audit else show_status)(settings, as_json=as_json)


class _ClientChoice(click.Choice[str]):
    """A client's key; for a misspelled one the error names those that are close."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        if value not in CLIENT_KEYS:
            import difflib

            near = difflib.get_close_matches(value.lower().replace(" ", "-"), CLIENT_KEYS, 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(CLIENT_KEYS)}."
            self.fail(f"no client is called {value!r}; {hint}", param, ctx)
        return value


_client_type = _ClientChoice(CLIENT_KEYS)
_file_option = click.option(
    "--file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Change this file of the client's format, such as that of a profile.",
)
_name_option = click.option("--name", default="kallyai", show_default=True, help="The name of the entry.")


@cli.command(short_help="Add this server to a client.")
@click.argument("client", type=_client_type, required=False)
@click.option("--all", "every", is_flag=True, help="Add it to every client that is found here.")
@_file_option
@_name_option
@click.option("--sandbox", is_flag=True, help="Serve on the embedded sandbox: no account needed, nobody is called.")
@click.option("--print", "only_print", is_flag=True, help="Show the entry and write nothing.")
def install(*, client: str | None, every: bool, file: Path | None, name: str, sandbox: bool, only_print: bool) -> None:
    """Add this server to CLIENT's configuration; without CLIENT, list the clients that are found here.

    Everything else in the file stays as it is, and a backup is kept next to it. A file with comments is left alone, and
    the entry is printed to be pasted.
    """
    from kallyai_mcp.cli.install import install, install_everywhere, list_clients

    if client is not None and not every:
        install(client, name=name, sandbox=sandbox, only_print=only_print, path=file)
    elif client is not None or file is not None:
        raise click.UsageError("--file needs a client, and --all takes neither.")
    elif every:
        install_everywhere(name=name, sandbox=sandbox, only_print=only_print)
    else:
        list_clients(name)


@cli.command(short_help="Remove this server from a client.")
@click.argument("client", type=_client_type)
@_file_option
@_name_option
def uninstall(*, client: str, file: Path | None, name: str) -> None:
    """Remove this server from CLIENT's configuration."""
    from kallyai_mcp.cli.install import uninstall

    uninstall(client, name=name, path=file)


@cli.command(short_help="Check this installation; say how to fix it.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def doctor(settings: Settings | SettingsError, *, as_json: bool) -> None:
    """Check this installation, and say how to fix what is wrong; the exit code is 0 if all is well."""
    from kallyai_mcp.cli.doctor import examine

    raise SystemExit(examine(settings, as_json=as_json))


@cli.command(short_help="Run a complete KallyAI on this machine.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8787, show_default=True, help="0 for a free one.")
@click.option("--data", type=click.Path(dir_okay=False, path_type=Path), help="Keep the state in this file.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=1, show_default=True,
              help="How many times faster than real calls are.")  # fmt: skip
@click.option("--scenarios", type=click.Path(dir_okay=False, path_type=Path),
              help="What happens on the lines of this TOML file.")  # fmt: skip
@click.option("--play", is_flag=True, help="You play the callee on all other lines, on a page.")
def sandbox(*, host: str, port: int, data: Path | None, speed: float, scenarios: Path | None, play: bool) -> None:
    """Run a complete KallyAI on this machine, over HTTP."""
    from kallyai_mcp.cli.sandbox import run_sandbox

    run_sandbox(host, port, data, speed, scenarios, play=play)


@cli.command(short_help="Show a call, from sign-in to transcript.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what the agent sends and reads.")
@click.option("--speed", type=click.FloatRange(min=0, min_open=True), default=20, show_default=True,
              help="How many times faster than real the calls are.")  # fmt: skip
def demo(*, verbose: bool, speed: float) -> None:
    """Show a call on the sandbox, from sign-in to transcript, through a real MCP client."""
    from kallyai_mcp.cli.demo import run_demo

    raise SystemExit(run_demo(speed, verbose=verbose))


def main() -> None:
    """Run the command line: the entry point of `kallyai-mcp` and `python -m kallyai_mcp`."""
    prepare_streams()
    try:
        cli(prog_name="kallyai-mcp")
    except KeyboardInterrupt:
        sys.exit(130)
