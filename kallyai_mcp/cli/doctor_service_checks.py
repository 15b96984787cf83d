"""The checks of `kallyai-mcp doctor` on the sign-in and the service: none changes anything or returns a secret."""

import logging
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import anyio

from kallyai_mcp.api.errors import BotCheckError, KallyAIError, NotSignedInError, UnreadableResponseError
from kallyai_mcp.api.models import Statistics
from kallyai_mcp.auth.file_store import TokenStoreError
from kallyai_mcp.auth.session import StaticTokens
from kallyai_mcp.cli.api_client import open_api
from kallyai_mcp.cli.credentials import Credentials, open_credentials
from kallyai_mcp.cli.doctor_checks import Finding, skipped
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.text.account import quota, used_up
from kallyai_mcp.tools.text.plain import duration, one_line

CLOCK_SECONDS = 60.0
"""How many seconds this machine's clock may differ from KallyAI's. A token is renewed that long before it expires."""

_RETRY_BACKOFF = 0.02
"""The seconds between two tries of a request; few, because a check has little time."""


class _WarningCollector(logging.Handler):
    """Collects the messages of logged warnings."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def sign_in(settings: Settings, platform: str = sys.platform) -> "tuple[list[Finding], Any]":
    """Where the sign-in is stored, and whether there is one.

    Args:
        settings: The settings of this process.
        platform: The value of `sys.platform`.

    Returns:
        The findings `token_store` and `sign_in`, and the tokens (`Tokens`) or None.
    """
    if settings.auth in ("caller", "oauth"):
        why = f"callers bring their own account (KALLYAI_AUTH={settings.auth})"
        return [Finding("token_store", "skipped", why), Finding("sign_in", "skipped", why)], None
    warnings = _WarningCollector()
    log = logging.getLogger("kallyai_mcp.auth")
    log.addHandler(warnings)
    try:
        credentials = open_credentials(settings)
        tokens = anyio.run(credentials.tokens.current)
        where = credentials.describe_store()
    except KallyAIError as error:
        fix = "make it readable, or set KALLYAI_TOKEN_STORE to file and sign in with `kallyai-mcp login`"
        not_read = skipped("sign_in", "not checked, as the token store can't be read")
        return [Finding("token_store", "bad", str(error), fix), not_read], None
    finally:
        log.removeHandler(warnings)
    if (not_kept := _why_not_kept(credentials)) is not None:
        store = not_kept
    elif warnings.messages:
        store = Finding("token_store", "bad", " ".join(warnings.messages), _sign_in_again())
    else:
        message = f"a sign-in is kept in {where}" if tokens else f"a sign-in would be kept in {where}"
        if platform == "darwin" and "keyring" in where:
            message += (
                "; if macOS asks for it again after an update of Python or of this program, choose Always Allow, or "
                "set KALLYAI_TOKEN_STORE to file"
            )
        store = Finding("token_store", "ok", message, details={"kept_in": where})
    return [store, _describe_tokens(tokens)], tokens


def _why_not_kept(credentials: Credentials) -> Finding | None:
    try:
        if credentials.store is not None:
            credentials.store.check()
    except TokenStoreError as error:
        problem, _, fix = str(error).rstrip(".").partition(". ")
        return Finding("token_store", "bad", problem, fix[:1].lower() + fix[1:])
    return None


def _sign_in_again() -> str:
    return "sign in with `kallyai-mcp login`"


def _describe_tokens(tokens: Any) -> Finding:
    if tokens is None:
        nobody = "nobody is signed in"
        return Finding("sign_in", "bad", nobody, _sign_in_again())
    left = tokens.expires_at - time.time()
    who = "signed in"
    if tokens.who:
        who = f"signed in as {one_line(tokens.who)}"
    has_end = left < 10**9
    end = datetime.fromtimestamp(tokens.expires_at, UTC).isoformat(timespec="seconds") if has_end else None
    details = {"who": tokens.who, "expires_at": end, "renews": tokens.refresh_token is not None}
    if left <= 0 and tokens.refresh_token is None:
        message = f"{who}, but that ended {duration(-left)} ago and can't be renewed"
        return Finding("sign_in", "bad", message, _sign_in_again(), details)
    message = who
    if left <= 0:
        message += "; the token has ended and is renewed at its next use"
    elif has_end:
        message += f"; the token lasts for {duration(left)}"
        if tokens.refresh_token:
            message += " and then renews itself"
    return Finding("sign_in", "ok", message, details=details)


def service(settings: Settings) -> list[Finding]:
    """Whether KallyAI answers with data (`api`), and how much its clock and this machine's differ (`clock`)."""
    try:
        is_data, seconds_ahead = anyio.run(_ask_without_sign_in, settings)
    except (KallyAIError, ValueError) as error:
        fix = "look at the network, the proxy and KALLYAI_API_URL; a service that sleeps needs half a minute"
        message = str(error)
        no_clock = skipped("clock", "not compared, as KallyAI does not answer")
        return [Finding("api", "bad", message, fix), no_clock]
    if not is_data:
        message = f"{settings.api_url} answers with a web page in place of data: a bot check, or a network's sign-in"
        fix = "open the address in a browser or use another network, and see that KALLYAI_API_URL is the API's address"
        api = Finding("api", "bad", message, fix)
    else:
        answers = f"{settings.api_url} answers"
        api = Finding("api", "ok", f"{answers}{_certificates(settings)}")
    return [api, _compare_clocks(seconds_ahead)]


def _certificates(settings: Settings) -> str:
    """The end of a message that says which certificates are used; "" for http on this machine."""
    if not settings.api_url.startswith("https:"):
        return ""
    own = next((name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if os.environ.get(name)), None)
    if own is not None:
        return f", with the certificates of {own}"
    return ", with the certificates of the system"


async def _ask_without_sign_in(settings: Settings) -> tuple[bool, float | None]:
    """Whether KallyAI answers with data, and how many seconds this machine's clock is ahead; None without a `Date`."""
    api = open_api(settings, retry_backoff=_RETRY_BACKOFF)
    before = time.time()
    is_data = await api.check_reachable()
    ours = (before + time.time()) / 2
    return is_data, ours - api.server_time.timestamp() if api.server_time is not None else None


def _compare_clocks(seconds_ahead: float | None) -> Finding:
    if seconds_ahead is None:
        return skipped("clock", "not compared, as the answer has no date")
    details = {"seconds_ahead": round(seconds_ahead, 1)}
    if abs(seconds_ahead) <= CLOCK_SECONDS:
        message = "as KallyAI's, to within a minute"
        return Finding("clock", "ok", message, details=details)
    apart = duration(abs(seconds_ahead))
    message = f"{apart} ahead of KallyAI's" if seconds_ahead > 0 else f"{apart} behind KallyAI's"
    fix = "set this machine's clock, or let the network set it"
    return Finding("clock", "bad", message, fix, details)


def account(settings: Settings, tokens: Any) -> Finding:
    """Whether KallyAI accepts the sign-in, and what is left of the quota."""
    if tokens is None or tokens.expires_within(0, time.time()):
        return skipped("account", "not checked, as there is no sign-in that can be used without a renewal")

    async def ask() -> Statistics:
        token = StaticTokens(tokens.access_token.get_secret_value())  # a check changes nothing, so it renews nothing
        return await open_api(settings, token, retry_backoff=_RETRY_BACKOFF).get_statistics()

    try:
        return _quota(anyio.run(ask))
    except NotSignedInError:
        fix = "`kallyai-mcp status` renews it if possible; else sign in with `kallyai-mcp login`"
        if settings.access_token is not None:
            fix = "put another token into KALLYAI_ACCESS_TOKEN, or remove it"
        message = "KallyAI does not accept the sign-in"
        return Finding("account", "bad", message, fix)
    except (BotCheckError, UnreadableResponseError) as error:
        return Finding("account", "bad", str(error), "see api")
    except (KallyAIError, ValueError) as error:
        fix = "see api; if that is ok, try again in a minute"
        return Finding("account", "bad", str(error), fix)


def _quota(statistics: Statistics) -> Finding:
    left = quota(statistics, None, now=datetime.now(UTC), has_tools=False).rstrip(".")
    if not used_up(statistics):
        return Finding("account", "ok", left)
    fix = "get more at KallyAI, or wait until it renews"
    return Finding("account", "warning", left, fix)
