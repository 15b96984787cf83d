"""Why a command does not start."""

import click


class SetupError(click.ClickException):
    """A setting or an option is not valid or not safe, or needs another one; the message is one line."""

    exit_code = 2
