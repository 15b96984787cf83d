"""The errors of commands, and the texts of errors of the operating system."""

import errno

import click

from kallyai_mcp.languages import localized

_IN_SPANISH = {
    errno.EACCES: "permiso denegado",
    errno.EPERM: "operación no permitida",
    errno.ENOENT: "no existe",
    errno.ENOTDIR: "no es una carpeta",
    errno.EISDIR: "es una carpeta",
    errno.EROFS: "el sistema de archivos es de solo lectura",
    errno.ENOSPC: "no queda espacio",
    errno.ENAMETOOLONG: "el nombre es demasiado largo",
    errno.EADDRINUSE: "la dirección ya está en uso",
    errno.EADDRNOTAVAIL: "la dirección no es de este equipo",
}
"""Spanish texts of the usual errors of the operating system, whose own texts are in English."""


class CommandError(click.ClickException):
    """A command failed.

    Args:
        text: What is printed.
        spanish: The same in Spanish; None if `text` is in the reader's language.
    """

    def __init__(self, text: str, spanish: str | None = None) -> None:
        super().__init__(text if spanish is None else localized(text, spanish))


class SetupError(CommandError):
    """A setting or an option is not valid or not safe, or needs another one; the message is one line."""

    exit_code = 2


def reason_of(error: OSError) -> str:
    """The operating system's text about an error, in the reader's language."""
    said = error.strerror or type(error).__name__
    return localized(said, _IN_SPANISH.get(error.errno or 0, said))
