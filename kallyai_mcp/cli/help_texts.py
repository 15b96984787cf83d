"""Options and texts that several commands have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def option(names: str, text: str, **more: Any) -> Callable[[_Command], _Command]:
    """Give a command an option.

    Args:
        names: The names for `click.option`, with spaces between them.
        text: The help of the option.
        more: The other arguments of `click.option`.
    """
    return click.option(*names.split(), help=text, **more)


json_option = option("--json as_json", "Print JSON.", is_flag=True)


def address_options(*, host: str, port: str, default_port: int) -> Callable[[_Command], _Command]:
    """Give a command the options --host and --port.

    Args:
        host: The help of --host.
        port: The help of --port.
        default_port: The port without --port.
    """

    def add(command: _Command) -> _Command:
        add_host = click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help=host)
        ports = click.IntRange(0, 65535)
        add_port = click.option("--port", metavar="N", type=ports, default=default_port, show_default=True, help=port)
        return add_host(add_port(command))

    return add


def speed_option(default: float) -> Callable[[_Command], _Command]:
    """Give a command the option --speed, with this default."""
    return option(
        "--speed",
        "The speed of the sandbox's calls; 1 is that of real calls.",
        metavar="TIMES",
        type=click.FloatRange(min=0, min_open=True),
        default=default,
        show_default=True,
    )


sandbox_option = option("--sandbox", "Use the embedded sandbox: nobody is called.", is_flag=True)
serve_on_sandbox = option(
    "--sandbox", "Serve on an embedded sandbox: no account needed, nobody is called.", is_flag=True
)
