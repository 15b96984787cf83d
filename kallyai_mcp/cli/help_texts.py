"""What the help of several commands has in common."""

from kallyai_mcp.languages import localized


def in_spanish(text: str) -> str | None:
    """`text` for a Spanish reader; None for others, who get the docstring of the command."""
    return text if localized("en", "es") == "es" else None


AS_JSON = localized("Print JSON.", "Imprime JSON.")
SERVE_ON_SANDBOX = localized(
    "Serve on an embedded sandbox: no account needed, nobody is called.",
    "Usa un entorno de pruebas incluido: no hace falta una cuenta y no se llama a nadie.",
)
TIMES = localized("TIMES", "VECES")
OPTIONS = localized("[OPTIONS]", "[OPCIONES]")
