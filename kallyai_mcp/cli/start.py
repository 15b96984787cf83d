"""The entry point of `kallyai-mcp` and `python -m kallyai_mcp`.

A client that starts the server over stdio gets its first answers before the rest of the program is
imported.
"""

import gc
import os
import sys

from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import WAIT_SECONDS, Settings
from kallyai_mcp.transports.standard_streams import (
    can_be_waited_for,
    exit_on_signals,
    open_closed_streams,
    take_stdio,
)

_STDIO: tuple[list[str], ...] = ([], ["serve"], ["serve", "--transport", "stdio"])
"""Arguments for a server over stdio whose first answers are known."""


def main() -> None:
    """Run the command line."""
    open_closed_streams()
    if _is_for_stdio():
        settings = plain_settings()
        if settings is not None:
            _serve(settings)
            return
    from kallyai_mcp.cli.main import main as run

    run()


def _is_for_stdio() -> bool:
    """Whether a client starts a server over stdio, and no shell asks click for completions."""
    return sys.argv[1:] in _STDIO and "_KALLYAI_MCP_COMPLETE" not in os.environ


def _serve(settings: Settings) -> None:
    from kallyai_mcp.transports.first_answers import FirstAnswers

    exit_on_signals()
    gc.disable()  # the imports leave no garbage; `serve_over_stdio` enables it
    first_answers = None
    if can_be_waited_for(0) and can_be_waited_for(1):
        first_answers = FirstAnswers(*take_stdio())
        first_answers.start()
    from kallyai_mcp.cli.serve import serve_over_stdio

    serve_over_stdio(settings, first_answers=first_answers)


def plain_settings() -> Settings | None:
    """The settings; None if one may change the first answers, or what happens or is logged before
    them.
    """
    try:
        settings = Settings.from_env()
    except SettingsError:
        return None
    has_effect = (
        any(name.startswith("OTEL_") for name in os.environ),
        settings.log_level in ("DEBUG", "INFO"),
        not settings.fast_start,
        settings.sandbox,
        settings.database_url is not None,
        settings.read_only,
        settings.wait_seconds != WAIT_SECONDS,
    )
    return None if any(has_effect) else settings
