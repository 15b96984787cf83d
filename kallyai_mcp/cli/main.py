"""The command line, `kallyai-mcp COMMAND`. Each command imports what it needs when it runs.

Help is in English and Spanish. A command's docstring is its English help. The folder `locale` has the Spanish
translations of click's own texts.
"""

import gc
import gettext
import os
import sys
from pathlib import Path
from typing import Any, get_args

import click

from kallyai_mcp import __version__
from kallyai_mcp.cli import call_commands, install_commands, sandbox_commands
from kallyai_mcp.cli.console import prepare_streams, say_localized
from kallyai_mcp.cli.errors import SetupError
from kallyai_mcp.cli.help_texts import (
    OPTIONS,
    address_options,
    in_spanish,
    json_option,
    option,
    sandbox_option,
    serve_on_sandbox,
    speed_option,
)
from kallyai_mcp.languages import localized
from kallyai_mcp.settings import Auth, Settings, SettingsError

_TEXTS_OF_CLICK = Path(__file__).with_name("locale")
"""The folder with the Spanish translations of click's own texts, for gettext."""

_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

_WORK_WITHOUT_SETTINGS = {"install", "uninstall", "doctor"}
"""Commands that run even if the settings are not valid."""


class _Group(click.Group):
    """The commands, in the order in which a new user needs them."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command; click's own texts are in the language of the reader."""
        os.environ["LANGUAGE"] = localized("en", "es")  # for gettext, this variable decides before all others
        gettext.bindtextdomain("messages", str(_TEXTS_OF_CLICK))
        return super().main(*args, **kwargs)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        del ctx
        return list(self.commands)


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings=_CONTEXT,
    options_metavar=OPTIONS,
    subcommand_metavar=localized("[COMMAND] [ARGS]...", "[COMANDO] [ARGUMENTOS]..."),
    help=in_spanish("""
    Llamadas de teléfono para agentes de IA: un servidor MCP que hace que KallyAI llame y te trae lo acordado.

    Sin un comando, sirve MCP por la entrada y la salida estándar, para un cliente que lo inicia.
    """),
)
@click.version_option(
    __version__,
    prog_name="kallyai-mcp",
    message=localized("%(prog)s, version %(version)s", "%(prog)s, versión %(version)s"),
    help=localized("Show the version and exit.", "Muestra la versión y termina."),
)
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


@click.command(
    short_help=localized("Serve MCP over stdio or HTTP.", "Sirve MCP por stdio o HTTP."),
    help=in_spanish("""
    Sirve MCP a clientes: a uno por stdin y stdout, o a muchos por HTTP.

    http y sse son el mismo servidor: /mcp, /sse, /health y /ready.
    """),
)
@option(
    "--transport",
    "How clients connect.",
    "Cómo se conectan los clientes.",
    type=click.Choice(["stdio", "http", "sse"]),
    default="stdio",
    show_default=True,
)
@address_options(
    host=localized("Over HTTP: the address to listen on.", "Por HTTP: la dirección en la que escucha."),
    port=localized("Over HTTP; 0: a free one.", "Por HTTP; 0: uno libre."),
    default_port=8000,
)
@option(
    "--auth",
    "Who may use the server over HTTP. none: anyone on this machine. secret: clients with KALLYAI_MCP_TOKEN. "
    "caller: clients with a KallyAI access token, for its account. oauth: users who sign in here, each with their "
    "own account.",
    "Quién puede usar el servidor por HTTP. none: cualquiera en este equipo. secret: clientes con "
    "KALLYAI_MCP_TOKEN. caller: clientes con un token de acceso de KallyAI, para su cuenta. oauth: usuarios que "
    "inician sesión aquí, cada uno con su cuenta.",
    type=click.Choice(get_args(Auth)),
    show_default=localized("KALLYAI_AUTH, or none", "KALLYAI_AUTH, o none"),
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
            say_localized("Stopped.", "Detenido.", err=True)
            raise SystemExit(130) from None
    else:
        from kallyai_mcp.cli.serve_http import serve_over_http

        serve_over_http(settings, host, port, auth=auth or settings.auth, sandbox=embedded, speed=speed)


@click.command(
    short_help=localized("Sign in through the browser.", "Inicia sesión en el navegador."),
    help=in_spanish("Inicia sesión en KallyAI en el navegador."),
)
@option(
    "--no-browser",
    "Print the link instead of opening it, and accept the pasted address.",
    "Muestra el enlace en lugar de abrirlo, y acepta la dirección pegada.",
    is_flag=True,
)
@click.pass_obj
def login(settings: Settings, *, no_browser: bool) -> None:
    """Sign in to KallyAI through the browser."""
    from kallyai_mcp.cli.login import log_in

    log_in(settings, browser=not no_browser)


@click.command(
    short_help=localized("Delete the sign-in on this machine.", "Borra la sesión de este equipo."),
    help=in_spanish("Borra la sesión de este equipo."),
)
@click.pass_obj
def logout(settings: Settings) -> None:
    """Delete the sign-in on this machine."""
    from kallyai_mcp.cli.login import log_out

    log_out(settings)


@click.command(
    short_help=localized(
        "Show the account, the quota, and the last calls.", "Muestra la cuenta, el saldo y las últimas llamadas."
    ),
    help=in_spanish("Muestra quién inició sesión, el saldo, las llamadas en curso y las últimas llamadas."),
)
@option(
    "--audit",
    "Show the audit trail: which calls were asked for, who asked, and how the user agreed.",
    "Muestra el registro de auditoría: qué llamadas se pidieron, quién las pidió y cómo dio su permiso el usuario.",
    is_flag=True,
)
@sandbox_option
@json_option
@click.pass_obj
def status(settings: Settings, *, audit: bool, sandbox: bool, as_json: bool) -> None:
    """Show who is signed in, the quota, the calls in progress, and the last calls."""
    from kallyai_mcp.cli.status import show_audit, show_status

    (show_audit if audit else show_status)(settings, sandbox=sandbox, as_json=as_json)


@click.command(
    short_help=localized(
        "Check this installation; say how to fix it.", "Comprueba esta instalación; dice cómo arreglarla."
    ),
    help=in_spanish(
        "Comprueba esta instalación y dice cómo arreglar lo que está mal; el código de salida es 0 si todo está bien."
    ),
)
@json_option
@click.pass_obj
def doctor(settings: Settings | SettingsError, *, as_json: bool) -> None:
    """Check this installation, and say how to fix what is wrong; the exit code is 0 if all is well."""
    from kallyai_mcp.cli.doctor import examine

    if isinstance(settings, SettingsError):
        settings = _read_settings()  # again, because with --json the error's message must be in English
    raise SystemExit(examine(settings, as_json=as_json))


_COMMANDS = (
    *(sandbox_commands.demo, install_commands.install, login, call_commands.call, call_commands.calls),
    *(call_commands.show, call_commands.cancel, call_commands.transcript, call_commands.calendar, status, doctor),
    *(serve, logout, install_commands.uninstall, sandbox_commands.sandbox),
)
for _command in _COMMANDS:
    _command.options_metavar = OPTIONS
    cli.add_command(_command)


def main() -> None:
    """Run the command line: the entry point of `kallyai-mcp` and `python -m kallyai_mcp`."""
    prepare_streams()
    try:
        cli(prog_name="kallyai-mcp")
    except KeyboardInterrupt:
        sys.exit(130)
