"""Opens the user's browser."""

import os
import webbrowser

_OWN_SETTINGS = ("KALLYAI_", "OTEL_", "PG")
"""The prefixes of the environment variables that this program, its database library, and
OpenTelemetry read.
"""


def open_in_browser(link: str) -> bool:
    """Open a link in the default browser; returns whether there is one.

    It does not inherit the settings of this program, because some are secrets.
    """
    for name in [name for name in os.environ if name.startswith(_OWN_SETTINGS)]:
        del os.environ[name]  # this program has read them already
    return webbrowser.open(link)
