"""The language in which the user reads.

The first of these that names a language decides:

1. the call at hand, or the request: its `language`;
2. the newest call of the account in the ledger that has a `language` (KallyAI's list doesn't repeat it);
3. the client: the user's locale in `_meta`, which ChatGPT sends, or the header Accept-Language;
4. the machine, if its user is the user of the server: `AppContext.language`.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.languages import Language, preferred_language
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.reader import Reader

_MAX_ACCOUNTS = 10_000
_LONGEST_HEADER = 200
"""How many characters of a header are read."""

_of_client: ContextVar[Language | None] = ContextVar("kallyai_mcp_language_of_client", default=None)


class LocalizedError(MCPError):
    """An error of the protocol, with an English message; `in_language_of_user` returns it in the user's language."""

    def __init__(self, code: int, english: str, spanish: str, data: dict[str, str] | None = None) -> None:
        super().__init__(code, english, data)
        self._spanish = spanish

    async def in_language_of_user(self, app_context: AppContext) -> MCPError:
        """The same error, with a message in the user's language."""
        is_spanish = await reads_spanish(app_context)
        return MCPError(self.code, self._spanish if is_spanish else self.message, self.data)


async def reads_spanish(app_context: AppContext, language: object = None) -> bool:
    """Whether a text should be in Spanish; otherwise in English.

    `language` is that of the call or request; values other than `en` and `es` count as none.
    """
    if language not in ("en", "es"):
        language = await _of_account(app_context) or _of_client.get() or app_context.language
    return language == "es"


async def reader_of(app_context: AppContext, language: object = None) -> Reader:
    """The reader of a text that is written now; the arguments are those of `reads_spanish`."""
    spanish = await reads_spanish(app_context, language)
    return Reader(spanish, app_context.timezone, app_context.now(), app_context.wait_seconds)


def note_language(app_context: AppContext, account: str, language: str | None) -> None:
    """Remember the `language` of a call that was just asked for on `account`; None changes nothing."""
    if language is not None:
        _remember(app_context, account, language)


async def with_client_language(ctx: ServerRequestContext[AppContext, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: notes the language that the client sends, and raises each `LocalizedError` in the user's language."""
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    named = (ctx.meta or {}).get("openai/locale") or headers.get("accept-language")
    token = _of_client.set(preferred_language(named[:_LONGEST_HEADER]) if isinstance(named, str) else None)
    try:
        return await call_next(ctx)
    except LocalizedError as error:
        raise await error.in_language_of_user(ctx.lifespan_context) from error
    finally:
        _of_client.reset(token)


async def _of_account(app_context: AppContext) -> str | None:
    known = app_context.languages
    try:
        account = await app_context.sign_in.account()
        if account not in known:
            _remember(app_context, account, await app_context.calls.last_language())
    except KallyAIError:  # nobody is signed in, or the ledger can't be read
        return None
    return known[account]


def _remember(app_context: AppContext, account: str, language: str | None) -> None:
    if len(app_context.languages) >= _MAX_ACCOUNTS:
        app_context.languages.clear()
    app_context.languages[account] = language
