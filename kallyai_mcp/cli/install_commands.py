"""The options of the commands install and uninstall. Their implementation is imported when a command runs."""

import textwrap
from pathlib import Path

import click

from kallyai_mcp.cli.help_texts import option, serve_on_sandbox

CLIENT_KEYS = (
    *("claude-desktop", "claude-code", "cursor", "vscode", "vscode-insiders", "vscodium", "codex"),
    *("windsurf", "windsurf-next", "gemini", "opencode", "zed", "goose", "cline"),
)
"""The keys of `clients.known.CLIENTS`. They are repeated here, so that help and completion don't import that module."""


class _ClientChoice(click.Choice[str]):
    """A client's key. The error about a misspelled key names similar ones."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """See `click.ParamType`."""
        if value not in CLIENT_KEYS:
            import difflib

            near = difflib.get_close_matches(value.lower().replace(" ", "-"), CLIENT_KEYS, 3, 0.5)
            hint = f"did you mean {' or '.join(near)}?"
            if not near:
                hint = f"choose from {', '.join(CLIENT_KEYS)}."
            raise click.BadParameter(f"no client is called {value!r}; {hint}", ctx, param, "CLIENT")
        return value


_client_type = _ClientChoice(CLIENT_KEYS)
_CLIENTS_HELP = "\n".join(
    # \b tells click not to wrap the lines: it would break names at their hyphens.
    ["\b", "Clients:", *textwrap.wrap(", ".join(CLIENT_KEYS), 56, break_on_hyphens=False)]
)
_file_option = option(
    "--file",
    "Change this file of the client's format, such as that of a profile.",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
)
_name_option = option("--name", "The name of the entry.", metavar="NAME", default="kallyai", show_default=True)


@click.command(short_help="Add this server to a client.", epilog=_CLIENTS_HELP)
@click.argument("client", metavar="[CLIENT]", type=_client_type, required=False)
@option("--all every", "Add it to every client that is found here.", is_flag=True)
@_file_option
@_name_option
@serve_on_sandbox
@option("--print only_print", "Show the entry and write nothing.", is_flag=True)
def install(*, client: str | None, every: bool, file: Path | None, name: str, sandbox: bool, only_print: bool) -> None:
    """Add this server to CLIENT's configuration; without CLIENT, list the clients that are found here.

    Everything else in the file stays as it is, and a backup is kept next to it. A file with comments is left alone, and
    the entry is printed to be pasted.
    """
    from kallyai_mcp.cli.install import install, install_everywhere, list_clients

    if client is not None and not every:
        install(client, name=name, sandbox=sandbox, only_print=only_print, path=file)
    elif client is not None or file is not None:
        raise click.UsageError("--file needs a client, and --all takes neither.")
    elif every:
        install_everywhere(name=name, sandbox=sandbox, only_print=only_print)
    else:
        list_clients(name)


@click.command(short_help="Remove this server from a client.", epilog=_CLIENTS_HELP)
@click.argument("client", metavar="CLIENT", type=_client_type)
@_file_option
@_name_option
def uninstall(*, client: str, file: Path | None, name: str) -> None:
    """Remove this server from CLIENT's configuration."""
    from kallyai_mcp.cli.install import uninstall

    uninstall(client, name=name, path=file)
