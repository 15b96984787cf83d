"""The options of the commands sandbox and demo. Their implementation is imported when a command runs."""

from pathlib import Path

import click

from kallyai_mcp.cli.help_texts import address_options, in_spanish, option, speed_option
from kallyai_mcp.languages import localized


@click.command(
    short_help=localized("Run a complete KallyAI on this machine.", "Inicia un KallyAI completo en este equipo."),
    help=in_spanish("Inicia un KallyAI completo en este equipo, por HTTP."),
)
@address_options(
    host=localized("Address to listen on.", "Dirección en la que escucha."),
    port=localized("0 for a free one.", "0 para uno libre."),
    default_port=8787,
)
@option(
    "--data",
    "Keep the state in this file.",
    "Guarda el estado en este archivo.",
    metavar=localized("FILE", "ARCHIVO"),
    type=click.Path(dir_okay=False, path_type=Path),
)
@speed_option(1)
@option(
    "--scenarios",
    "A TOML file that says what happens on its lines.",
    "Un archivo TOML que dice lo que ocurre en sus líneas.",
    metavar=localized("FILE", "ARCHIVO"),
    type=click.Path(dir_okay=False, path_type=Path),
)
@option(
    "--play",
    "You play the callee on all other lines, on a page.",
    "Tú contestas en todas las demás líneas, en una página.",
    is_flag=True,
)
def sandbox(*, host: str, port: int, data: Path | None, speed: float, scenarios: Path | None, play: bool) -> None:
    """Run a complete KallyAI on this machine, over HTTP."""
    from kallyai_mcp.cli.sandbox import run_sandbox

    run_sandbox(host, port, data, speed, scenarios, play=play)


@click.command(
    short_help=localized(
        "Show a call, from sign-in to transcript.",
        "Muestra una llamada, del inicio de sesión a la transcripción.",
    ),
    help=in_spanish(
        "Muestra una llamada en el entorno de pruebas, del inicio de sesión a la transcripción, con un cliente de MCP "
        "de verdad."
    ),
)
@option(
    "--verbose -v",
    "Also show what the agent sends and reads.",
    "Muestra también lo que el agente envía y lee.",
    is_flag=True,
)
@speed_option(20)
def demo(*, verbose: bool, speed: float) -> None:
    """Show a call on the sandbox, from sign-in to transcript, through a real MCP client."""
    from kallyai_mcp.cli.demo import run_demo

    raise SystemExit(run_demo(speed, verbose=verbose))
