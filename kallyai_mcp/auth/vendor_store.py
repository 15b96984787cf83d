"""A sign-in done with the vendor's own tools, taken over."""

import json
import logging
from hashlib import sha256
from pathlib import Path
from typing import Any

from kallyai_mcp.auth.tokens import Tokens

_log = logging.getLogger(__name__)

LIVE_ORIGIN = "https://api.kallyai.com"
"""The only API that the vendor's own sign-in is for."""


def vendor_path() -> Path:
    """Where the vendor's own tools keep their tokens."""
    return Path.home() / ".kallyai_token.json"


class VendorStore:
    """Reads the token file of the vendor's own tools, and never writes it.

    Args:
        path: The file: JSON with `access_token`, `refresh_token` (may be null or empty) and `expires_at` in seconds
            since the epoch, in which the vendor's tools count a minute early; that minute is not given back here.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Tokens | None:
        """The vendor's tokens, or None when there are none that can be used."""
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
        """The path of the file, and whose it is."""
        return f"{self._path} (of KallyAI's own tools, read only)"


def _lineage(document: dict[str, Any]) -> dict[str, str]:
    # The refresh token outlives the access token, so it is the better name of a sign-in whose tokens name nobody.
    named_by = document.get("refresh_token") or document["access_token"]
    return {"lineage": sha256(f"kallyai-mcp vendor\n{named_by}".encode()).hexdigest()[:32]}
