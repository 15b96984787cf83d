"""Reads the times in the headers of responses."""

import re
from collections.abc import Mapping
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from email.utils import parsedate_to_datetime


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The time in the `Date` header (aware). None without a valid one, or if a cache kept the response.

    The `Date` of a response from a cache is old (RFC 9111, section 5.1).
    """
    return _http_date(headers.get("date", "")) if headers.get("age", "0").strip() in ("", "0") else None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds from now in the `Retry-After` header (RFC 9110, section 10.2.3), not negative; None if not valid.

    A date is compared with the response's `Date`, because the clock of this machine may be wrong.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    until = _http_date(value)
    if until is None:
        return None
    return max(0.0, (until - (_http_date(headers.get("date", "")) or datetime.now(UTC))).total_seconds())


def _http_date(value: str) -> datetime | None:
    """The time of an HTTP date (aware); None if it is not one, or is in the first or last year of the calendar."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # OverflowError: an offset with many digits
        return None
    if not MINYEAR < moment.year < MAXYEAR:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
