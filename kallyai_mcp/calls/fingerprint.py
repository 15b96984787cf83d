"""The fingerprint of a call: what it asks for, without differences that don't change the
meaning.
"""

import hashlib
import json
import unicodedata
from functools import lru_cache
from typing import Any

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.about_booking import without_change
from kallyai_mcp.calls.disclosure import without_disclosure
from kallyai_mcp.calls.other_time import as_listed_before, without_other_time


@lru_cache(1024)  # one call asks several times
def fingerprint(submission: Submission) -> str:
    """A digest (SHA-256, in hexadecimal) that is equal for two submissions that request the same
    call.

    Texts are compared as `normalized`. The time zone does not count: an agent that leaves it out
    the second time still means the same appointment.
    """
    asked = as_listed_before(without_other_time(without_disclosure(submission.as_json())))
    fields = {name: normalized(value) for name, value in asked.items()}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def older_fingerprint(submission: Submission) -> str:
    """That of the same call about a booking in the records of the version before, which did not
    tell KallyAI what such a call is for.
    """
    return fingerprint(without_change(submission))


_PLAIN = str.maketrans(
    "\u2018\u2019\u201a\u201b\u2032\u02bc\u00b4`\u201c\u201d\u201e\u201f\u2033\u00ab\u00bb"
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212",
    "'" * 8 + '"' * 7 + "-" * 7,
)
"""Typographic quotation marks and dashes, and those of a keyboard."""


def normalized(value: Any) -> Any:
    """A JSON value whose texts have no differences that don't change their meaning.

    They are in lower case and in one Unicode form (NFKC), with single spaces and the quotation
    marks and dashes of a keyboard, and without invisible characters and a final full stop.
    """
    if isinstance(value, str):
        text = unicodedata.normalize("NFKC", value.translate(_PLAIN)).casefold()
        visible = "".join(char for char in text if unicodedata.category(char) != "Cf")
        return " ".join(visible.split()).rstrip(" .")
    return [normalized(item) for item in value] if isinstance(value, list) else value
