"""What the help of several commands has in common."""

from collections.abc import Callable
from typing import Any

import click

from kallyai_mcp.languages import localized, speaking


def in_spanish(text: str) -> str | None:
    """`text` for a Spanish reader; None for others, who get the docstring of the command."""
    return text if localized("en", "es") == "es" else None


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the option --json. With it, all that the command prints is in English, as programs expect."""

    def speak_english(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
        del param
        if value:
            ctx.with_resource(speaking("en"))
        return value

    said = localized("Print JSON.", "Imprime JSON.")
    return click.option("--json", "as_json", is_flag=True, callback=speak_english, help=said)(command)


SERVE_ON_SANDBOX = localized(
    "Serve on an embedded sandbox: no account needed, nobody is called.",
    "Usa un entorno de pruebas incorporado: no hace falta una cuenta y no se llama a nadie.",
)
TIMES = localized("TIMES", "VECES")
OPTIONS = localized("[OPTIONS]", "[OPCIONES]")
