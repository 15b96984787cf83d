"""What `kallyai-mcp doctor` looks at of KallyAI: sign-in, service, clock; each changes nothing and shows no secret."""

import logging
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import anyio

from kallyai_mcp.api.errors import BotCheckError, KallyAIError, NotSignedInError, UnreadableResponseError
from kallyai_mcp.cli.connection import Connection, local_timezone
from kallyai_mcp.cli.doctor_checks import Finding
from kallyai_mcp.settings import Settings
from kallyai_mcp.tools.text.account import quota
from kallyai_mcp.tools.text.plain import duration, one_line
from kallyai_mcp.urls import is_loopback

CLOCK_SECONDS = 60.0
"""How far this machine's clock may be from KallyAI's: a token is renewed as long before its end."""

_ANSWER_SECONDS = 4.0


class _Overheard(logging.Handler):
    """What the rooms below warn of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage())


def sign_in(settings: Settings) -> "tuple[list[Finding], Any]":
    """Where the sign-in is kept, and whether there is one.

    Returns:
        What was found of `token_store` and `sign_in`, and the tokens (`Tokens`), or None.
    """
    if settings.auth in ("caller", "oauth"):
        why = f"callers bring their own account (KALLYAI_AUTH={settings.auth})"
        return [Finding("token_store", "skipped", why), Finding("sign_in", "skipped", why)], None
    connection = Connection(settings)
    overheard = _Overheard()
    log = logging.getLogger("kallyai_mcp.auth")
    log.addHandler(overheard)
    try:
        tokens = anyio.run(connection.credentials.current)
        where = connection.store.describe() if connection.store else "KALLYAI_ACCESS_TOKEN"
    except KallyAIError as error:
        mend = "make it readable, or set KALLYAI_TOKEN_STORE=file and sign in with `kallyai-mcp login`"
        unread = Finding("sign_in", "skipped", "not looked at, as the token store can't be read")
        return [Finding("token_store", "bad", str(error), mend), unread], None
    finally:
        log.removeHandler(overheard)
    if overheard.said:
        store = Finding("token_store", "bad", " ".join(overheard.said), "sign in with `kallyai-mcp login`")
    else:
        kept = "a sign-in is kept" if tokens else "a sign-in would be kept"
        store = Finding("token_store", "ok", f"{kept} in {where}", details={"kept_in": where})
    return [store, _tokens(tokens)], tokens


def _tokens(tokens: Any) -> Finding:
    if tokens is None:
        return Finding("sign_in", "bad", "nobody is signed in", "sign in with `kallyai-mcp login`")
    left = tokens.expires_at - time.time()
    who = f"signed in as {one_line(tokens.who)}" if tokens.who else "signed in"
    known = left < 10**9
    ends = datetime.fromtimestamp(tokens.expires_at, UTC).isoformat(timespec="seconds") if known else None
    details = {"who": tokens.who, "expires_at": ends, "renews": tokens.refresh_token is not None}
    if left <= 0 and tokens.refresh_token is None:
        said = f"{who}, but that ended {duration(-left)} ago and can't be renewed"
        return Finding("sign_in", "bad", said, "sign in with `kallyai-mcp login`", details)
    if left <= 0:
        return Finding("sign_in", "ok", f"{who}; the token has ended and is renewed at its next use", details=details)
    lasts = f"; the token lasts for {duration(left)}" if known else ""
    renews = " and then renews itself" if known and tokens.refresh_token else ""
    return Finding("sign_in", "ok", f"{who}{lasts}{renews}", details=details)


def service(settings: Settings) -> list[Finding]:
    """Whether KallyAI answers, and with data (`api`), and what time it is there (`clock`)."""
    unseen = Finding("clock", "skipped", "not compared, as KallyAI does not answer")
    try:
        anyio.run(_reach, settings)
        web_page, apart = _look(settings)
    except (KallyAIError, ValueError) as error:
        mend = "look at the network, the proxy and KALLYAI_API_URL; a service that sleeps needs half a minute"
        return [Finding("api", "bad", str(error), mend), unseen]
    except (OSError, HTTPException) as error:
        said = f"{settings.api_url} answers, but a second request failed ({type(error).__name__})"
        return [Finding("api", "bad", said, "try again; look at the network if it stays so"), unseen]
    if web_page:
        said = f"{settings.api_url} answers with a web page in place of data: a check for bots, or a network's own"
        mend = "open the address in a browser or use another network, and see that KALLYAI_API_URL is the API's address"
        api = Finding("api", "bad", said, mend)
    else:
        api = Finding("api", "ok", f"{settings.api_url} answers")
    return [api, _clock(apart)]


async def _reach(settings: Settings) -> None:
    from kallyai_mcp.api.client import KallyAI

    async with KallyAI(settings.api_url, user_agent=settings.user_agent, retry_backoff=0.02) as api:
        await api.reach()


def _look(settings: Settings) -> tuple[bool, float | None]:
    """Ask without a sign-in for what needs one: is the answer a web page, and how many seconds is our clock ahead."""
    from kallyai_mcp.api.responses import Answer

    request = urllib.request.Request(  # noqa: S310 - the settings have checked the address
        f"{settings.api_url}/v1/users/me/statistics",
        headers={"User-Agent": settings.user_agent, "Accept": "application/json"},
    )
    direct = [urllib.request.ProxyHandler({})] if is_loopback(urlsplit(settings.api_url).hostname) else []
    response: HTTPResponse | urllib.error.HTTPError
    before = time.time()
    try:
        response = urllib.request.build_opener(*direct).open(request, timeout=_ANSWER_SECONDS)
    except urllib.error.HTTPError as refusal:
        response = refusal
    with response:
        ours = (before + time.time()) / 2
        headers = {name.lower(): value for name, value in response.headers.items()}
        page = Answer(response.status or 0, headers, response.read(1000)).is_web_page
    try:
        theirs = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return page, None
    return page, ours - theirs.timestamp()


def _clock(apart: float | None) -> Finding:
    if apart is None:
        return Finding("clock", "skipped", "not compared, as the answer has no date")
    details = {"seconds_ahead": round(apart, 1)}
    if abs(apart) <= CLOCK_SECONDS:
        return Finding("clock", "ok", "as KallyAI's, to within a minute", details=details)
    said = f"{duration(abs(apart))} {'ahead of' if apart > 0 else 'behind'} KallyAI's"
    return Finding("clock", "bad", said, "set this machine's clock, or have it set by the network", details)


class _AsItIs:
    """Tokens that are used and never renewed."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def access_token(self) -> str:
        return self._token

    async def renew(self, rejected: str) -> str:  # noqa: ARG002 - it is not renewed, whichever it was
        raise NotSignedInError("KallyAI does not accept the sign-in")


def account(settings: Settings, tokens: Any) -> Finding:
    """Whether KallyAI accepts the sign-in, and what is left of the quota."""
    if tokens is None or tokens.expires_within(0, time.time()):
        return Finding("account", "skipped", "not asked for, as there is no sign-in that could be used as it is")

    async def ask() -> str:
        from kallyai_mcp.api.client import KallyAI

        source = _AsItIs(tokens.access_token.get_secret_value())
        async with KallyAI(settings.api_url, tokens=source, user_agent=settings.user_agent, retry_backoff=0.02) as api:
            return quota(await api.get_statistics(), None, zone_name=local_timezone(), now=datetime.now(UTC))

    try:
        return Finding("account", "ok", anyio.run(ask).rstrip("."))
    except NotSignedInError as error:
        mend = "`kallyai-mcp status` renews it if that can be done; else sign in with `kallyai-mcp login`"
        if settings.access_token is not None:
            mend = "put another token into KALLYAI_ACCESS_TOKEN, or remove it"
        return Finding("account", "bad", str(error), mend)
    except (BotCheckError, UnreadableResponseError) as error:
        return Finding("account", "bad", str(error), "see api")
    except (KallyAIError, ValueError) as error:
        return Finding("account", "bad", str(error), "see api; if that is well, try again in a minute")
