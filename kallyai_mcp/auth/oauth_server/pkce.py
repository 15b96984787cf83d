"""PKCE with the method S256 (RFC 7636)."""

import base64
import hashlib
import hmac
import re

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str | None) -> bool:
    """Whether `text` has the form of a code challenge of S256 (section 4.2)."""
    return text is not None and _CHALLENGE.fullmatch(text) is not None


def matches(verifier: str, challenge: str) -> bool:
    """Whether `verifier` is a code verifier (section 4.1) and `challenge` was made from it (section 4.6)."""
    if _VERIFIER.fullmatch(verifier) is None:
        return False
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode("ascii")
    return hmac.compare_digest(digest.rstrip("="), challenge)
