"""What an id of a call looks like."""

import re

from kallyai_mcp.api.errors import NotFoundError

_CALL_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]{1,200}")
"""Characters that stand for themselves in a URL (RFC 3986, section 2.3); `.` and `..` would name another path.

A service that decodes `%2F` would take `ID%2Ftranscript` for the transcript of a call, which needs another scope.
"""


def check_call_id(id_: str) -> str:
    """`id_`, a `call_id` or `tracking_id`; the reference's are UUIDs.

    Raises:
        NotFoundError: No call has such an id.
    """
    if not _CALL_ID.fullmatch(id_):
        raise NotFoundError("There is no call of such an id", code="call_not_found")
    return id_
