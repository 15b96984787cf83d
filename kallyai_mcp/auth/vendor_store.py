"""The tokens of a user who signed in with the vendor's own tools."""

import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any

from kallyai_mcp.auth.tokens import Tokens

_log = logging.getLogger(__name__)

LIVE_ORIGIN = "https://api.kallyai.com"
"""The origin of the only API that gets the vendor's tokens."""


def vendor_path() -> Path:
    """The path of the token file of the vendor's own tools."""
    return Path.home() / ".kallyai_token.json"


class VendorStore:
    """Reads the token file of the vendor's own tools, and never writes it.

    Args:
        path: The file: JSON with `access_token`, `refresh_token` (may be null or empty), and `expires_at` in seconds
            since the epoch. The vendor's tools write a time that is a minute early, which is not corrected here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Tokens | None:
        """The vendor's tokens; None if there are none, or if the file is broken, which is logged."""
        try:
            document = json.loads(self._path.read_bytes())
            tokens = Tokens.from_document(document)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            _log.warning("%s can't be read as a sign-in of KallyAI's own tools; it is left alone", self._path)
            return None
        return tokens.model_copy(update=_lineage(document))

    def describe(self) -> str:
        """The path of the file, in words for a user."""
        return f"{self._path} (of KallyAI's own tools, read only)"


def _lineage(document: dict[str, Any]) -> dict[str, str]:
    # Without an account in the tokens, the refresh token identifies the sign-in, because it lasts longer.
    named_by = document.get("refresh_token") or document["access_token"]
    return {"lineage": sha256(f"kallyai-mcp vendor\n{named_by}".encode()).hexdigest()[:32]}
