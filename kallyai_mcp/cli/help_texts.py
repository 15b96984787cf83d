"""Options and texts that several commands have in common."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from kallyai_mcp.languages import localized, use_language

_Command = TypeVar("_Command", bound=Callable[..., Any])


def in_spanish(text: str) -> str | None:
    """`text` for a Spanish reader; None for others, who get the docstring of the command."""
    return text if localized("en", "es") == "es" else None


def option(names: str, english: str, spanish: str, **more: Any) -> Callable[[_Command], _Command]:
    """Give a command an option.

    Args:
        names: The names for `click.option`, with spaces between them.
        english: The help of the option.
        spanish: The help in Spanish.
        more: The other arguments of `click.option`.
    """
    return click.option(*names.split(), help=localized(english, spanish), **more)


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --json. With it, all output of the command is in English, because programs read it."""

    def speak_english(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        del param
        if value:
            ctx.with_resource(use_language("en"))
        return value

    add = option("--json as_json", "Print JSON.", "Imprime JSON.", is_flag=True, callback=speak_english)
    return add(command)


def address_options(*, host: str, port: str, default_port: int) -> Callable[[_Command], _Command]:
    """Give a command the options --host and --port.

    Args:
        host: The help of --host.
        port: The help of --port.
        default_port: The port without --port.
    """

    def add(command: _Command) -> _Command:
        address = localized("ADDRESS", "DIRECCIÓN")
        add_host = click.option("--host", metavar=address, default="127.0.0.1", show_default=True, help=host)
        ports = click.IntRange(0, 65535)
        add_port = click.option("--port", metavar="N", type=ports, default=default_port, show_default=True, help=port)
        return add_host(add_port(command))

    return add


def speed_option(default: float) -> Callable[[_Command], _Command]:
    """Give a command the option --speed, with this default."""
    return option(
        "--speed",
        "The speed of the sandbox's calls; 1 is that of real calls.",
        "La velocidad de las llamadas del entorno de pruebas; 1 es la de las llamadas reales.",
        metavar=localized("TIMES", "VECES"),
        type=click.FloatRange(min=0, min_open=True),
        default=default,
        show_default=True,
    )


sandbox_option = option(
    "--sandbox",
    "Use the embedded sandbox: nobody is called.",
    "Usa el entorno de pruebas incorporado: no se llama a nadie.",
    is_flag=True,
)
serve_on_sandbox = option(
    "--sandbox",
    "Serve on an embedded sandbox: no account needed, nobody is called.",
    "Usa un entorno de pruebas incorporado: no hace falta una cuenta y no se llama a nadie.",
    is_flag=True,
)
OPTIONS = localized("[OPTIONS]", "[OPCIONES]")
