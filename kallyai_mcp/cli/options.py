"""Options that several commands have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON: the structure of the tool's result.")
sandbox_option = click.option("--sandbox", is_flag=True, help="Use the embedded sandbox: nobody is called.")


def address_options(*, default_port: int) -> Callable[[_Command], _Command]:
    """Give a command the options --host and --port."""

    def add(command: _Command) -> _Command:
        host = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
        ports = click.IntRange(0, 65535)
        port = click.option(
            "--port", metavar="N", type=ports, default=default_port, show_default=True, help="0: a free one."
        )
        return host(port(command))

    return add


def speed_option(default: float) -> Callable[[_Command], _Command]:
    """Give a command the option --speed, with this default."""
    return click.option(
        "--speed",
        metavar="TIMES",
        type=click.FloatRange(min=0, min_open=True),
        default=default,
        show_default=True,
        help="Speed of the sandbox's calls; 1 is real.",
    )
