"""Which ids of calls can be sent to KallyAI."""

import re
from typing import Final

from kallyai_mcp.api.errors import UnusableCallIdError

CALL_ID: Final = r"[A-Za-z0-9._~:=@+,-]{1,500}"
"""The pattern of an id: only characters that need no encoding in the path of a URL (RFC 3986, section 3.3).

A service that decodes `%2F` would take `ID%2Ftranscript` for the path of a transcript, which needs another scope.
"""

_CALL_ID = re.compile(rf"(?!\.{{1,2}}\Z){CALL_ID}")
"""The same without `.` and `..`, which would be another path."""


def is_usable(id_: str) -> bool:
    """Whether an id can be in the path of a URL. The reference's ids are UUIDs."""
    return _CALL_ID.fullmatch(id_) is not None


def check_call_id(id_: str) -> str:
    """Check a `call_id` or `tracking_id`, and return it.

    Raises:
        UnusableCallIdError: The id can't be sent to KallyAI.
    """
    if not is_usable(id_):
        raise UnusableCallIdError("That id can't be sent to KallyAI, because of its characters or its length")
    return id_
