"""Errors of signing in that are told apart from those of the API itself.

No message here holds a token or a part of one, and no error that one of these is raised from does.
"""

from kallyai_mcp.api.errors import KallyAIError


class TokenStoreError(KallyAIError):
    """The tokens can't be read from the token store, written to it, or deleted from it."""

    default_code = "token_store_failed"


class WrongAddressError(ValueError):
    """A pasted address is not the one that the sign-in page sent the browser to; the message says how it differs."""
