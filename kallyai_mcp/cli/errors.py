"""The errors of commands, and the texts of errors of the operating system."""

import click


class CommandError(click.ClickException):
    """A command failed."""


class SetupError(CommandError):
    """A setting or an option is not valid or not safe, or needs another one; the message is one line."""

    exit_code = 2


def reason_of(error: OSError) -> str:
    """The operating system's text about an error."""
    return error.strerror or type(error).__name__
