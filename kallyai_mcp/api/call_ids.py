"""What an id of a call looks like."""

import re
from typing import Final

from kallyai_mcp.api.errors import UnusableCallIdError

CALL_ID: Final = r"[A-Za-z0-9._~:=@+,-]{1,500}"
"""Characters that stand for themselves in the path of a URL (RFC 3986, section 3.3).

A service that decodes `%2F` would take `ID%2Ftranscript` for the transcript of a call, which needs another scope.
"""

_CALL_ID = re.compile(rf"(?!\.{{1,2}}\Z){CALL_ID}")
"""`.` and `..` would name another path."""


def is_usable(id_: str) -> bool:
    """Whether KallyAI can be asked about a call by this id; the reference's are UUIDs."""
    return _CALL_ID.fullmatch(id_) is not None


def check_call_id(id_: str) -> str:
    """`id_`, a `call_id` or `tracking_id`.

    Raises:
        UnusableCallIdError: KallyAI can't be asked about it.
    """
    if not is_usable(id_):
        raise UnusableCallIdError("That id can't be sent to KallyAI, because of its characters or its length")
    return id_
