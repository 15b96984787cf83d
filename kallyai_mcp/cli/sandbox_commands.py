"""The commands sandbox and demo. Imported only when one of them is used or listed."""

from pathlib import Path

import click

from kallyai_mcp.cli.help_texts import address_options, in_spanish, speed_option
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
@click.option(
    "--data",
    metavar=localized("FILE", "ARCHIVO"),
    type=click.Path(dir_okay=False, path_type=Path),
    help=localized("Keep the state in this file.", "Guarda el estado en este archivo."),
)
@speed_option(
    1,
    localized(
        "How many times faster than real the calls are.", "Cuántas veces más rápidas que las reales son las llamadas."
    ),
)
@click.option(
    "--scenarios",
    metavar=localized("FILE", "ARCHIVO"),
    type=click.Path(dir_okay=False, path_type=Path),
    help=localized(
        "A TOML file that says what happens on its lines.", "Un archivo TOML que dice lo que ocurre en sus líneas."
    ),
)
@click.option(
    "--play",
    is_flag=True,
    help=localized(
        "You play the callee on all other lines, on a page.",
        "Tú contestas en todas las demás líneas, en una página.",
    ),
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
@click.option(
    "--verbose",
    "-v",
    is_flag=True,
    help=localized("Also show what the agent sends and reads.", "Muestra también lo que el agente envía y lee."),
)
@speed_option(
    20,
    localized(
        "How many times faster than real the calls are.",
        "Cuántas veces más rápidas que las reales son las llamadas.",
    ),
)
def demo(*, verbose: bool, speed: float) -> None:
    """Show a call on the sandbox, from sign-in to transcript, through a real MCP client."""
    from kallyai_mcp.cli.demo import run_demo

    raise SystemExit(run_demo(speed, verbose=verbose))
