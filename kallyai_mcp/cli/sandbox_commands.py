"""The options of the commands sandbox and demo. Their implementation is imported when a command runs."""

from pathlib import Path

import click

from kallyai_mcp.cli.help_texts import address_options, option, speed_option


@click.command(short_help="Run a complete KallyAI on this machine.")
@address_options(host="Address to listen on.", port="0 for a free one.", default_port=8787)
@option("--data", "Keep the state in this file.", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@speed_option(1)
@option(
    "--scenarios",
    "A TOML file that says what happens on its lines.",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
)
@option("--play", "You play the callee on all other lines, on a page.", is_flag=True)
def sandbox(*, host: str, port: int, data: Path | None, speed: float, scenarios: Path | None, play: bool) -> None:
    """Run a complete KallyAI on this machine, over HTTP."""
    from kallyai_mcp.cli.sandbox import run_sandbox

    run_sandbox(host, port, data, speed, scenarios, play=play)


@click.command(short_help="Show a call, from sign-in to transcript.")
@option("--verbose -v", "Also show what the agent sends and reads.", is_flag=True)
@speed_option(20)
def demo(*, verbose: bool, speed: float) -> None:
    """Show a call on the sandbox, from sign-in to transcript, through a real MCP client."""
    from kallyai_mcp.cli.demo import run_demo

    raise SystemExit(run_demo(speed, verbose=verbose))
