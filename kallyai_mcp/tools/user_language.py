"""The language in which the user reads: that of the account's newest call that names one.

A client does not tell it, and only make_call has an argument for it (`language`).
"""

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.tools.context import AppContext

_MAX_ACCOUNTS = 10_000


async def reads_spanish(app_context: AppContext, language: object = None) -> bool:
    """Whether texts are in Spanish, else in English.

    Args:
        app_context: Knows the account and its calls.
        language: The language that the call at hand, or the request, names; anything but `en` and `es` counts as none.
    """
    if language in ("en", "es"):
        return language == "es"
    known = app_context.languages
    try:
        account = await app_context.sign_in.account()
        if account not in known:
            _remember(app_context, account, await app_context.calls.last_language())
    except KallyAIError:  # nobody is signed in, or the ledger can't be read
        return False
    return known[account] == "es"


def note_language(app_context: AppContext, account: str, language: str | None) -> None:
    """Remember the `language` of a call that was just asked for on `account`; None changes nothing."""
    if language is not None:
        _remember(app_context, account, language)


def _remember(app_context: AppContext, account: str, language: str | None) -> None:
    if len(app_context.languages) >= _MAX_ACCOUNTS:
        app_context.languages.clear()
    app_context.languages[account] = language
