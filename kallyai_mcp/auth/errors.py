"""Errors of signing in that are not errors of the API.

Neither their messages nor those of their causes contain a token or a part of one.
"""

from kallyai_mcp.api.errors import KallyAIError


class TokenStoreError(KallyAIError):
    """The tokens can't be read from the token store, written to it, or deleted from it."""

    default_code = "token_store_failed"


class WrongAddressError(ValueError):
    """A pasted address is not the one that the browser was sent to at the end. The message says how it differs."""
