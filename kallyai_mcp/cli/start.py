"""The entry point of `kallyai-mcp` and `python -m kallyai_mcp`.

A client that starts the server over stdio gets its first answers before the rest of the program is imported.
"""

import gc
import os
import sys

from kallyai_mcp.settings import Settings, SettingsError
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
    completes = "_KALLYAI_MCP_COMPLETE" in os.environ  # a shell asks click for completions
    if sys.argv[1:] in _STDIO and not completes and (settings := plain_settings()) is not None:
        _serve(settings)
        return
    from kallyai_mcp.cli.main import main as run

    run()


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
    """The settings; None if one may change the first answers, or what happens or is logged before them."""
    try:
        settings = Settings.from_env()
    except SettingsError:
        return None
    traced = any(name.startswith("OTEL_") for name in os.environ)
    logged = settings.log_level in ("DEBUG", "INFO")
    waits = not settings.fast_start or settings.sandbox or settings.database_url is not None
    return None if traced or logged or waits or settings.read_only else settings
