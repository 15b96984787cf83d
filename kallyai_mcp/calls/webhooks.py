"""Webhooks: sends events to the URLs of clients, signed by Standard Webhooks, until the receiver accepts them.

As SEP-3415 requires, a URL must first answer a challenge, so that nobody can send events to a server of other people.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import anyio

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.clock import Clock
from kallyai_mcp.calls.events import CALLBACK_ENDPOINT_ERROR
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.webhooks import WebhookStore
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.webhook_records import DueMessage, SubscriptionStart, WebhookSubscription
from kallyai_mcp.common_types import PostAnswer

_log = logging.getLogger(__name__)

INTERVAL = 1.0
"""Seconds between two checks for messages to send."""

TTL_MIN, TTL_MAX = timedelta(minutes=5), timedelta(days=1)
"""The shortest and the longest time after which a subscription must be refreshed."""

MOST_PER_ACCOUNT = 50
"""How many subscriptions one account may have."""

PAUSES = (5.0, 30.0, 120.0, 300.0, 600.0)
"""Seconds before each further try. When the last one fails, the message is given up."""

LONGEST_PAUSE = 3600.0
"""The most seconds of a receiver's `Retry-After` that count."""

_LEASE = 60.0
"""Seconds for which a message that a worker has taken is left alone by the others. A delivery takes less."""

_AT_ONCE, _CHALLENGES_AT_ONCE = 8, 24
"""The most deliveries, and the most challenges, at the same time."""

_SHARE = 8
"""The most messages of one account in one round, so that all accounts have a turn."""

_GONE, _TOO_LARGE = 410, 413

_ENDED_BY_RECEIVER: Final = {
    "code": CALLBACK_ENDPOINT_ERROR,
    "message": "The receiver answered 410, which ends the subscription.",
    "data": {"reason": "http_4xx"},
}
"""The error in the last message after a 410, which ends a subscription under Standard Webhooks."""

Post = Callable[[str, bytes, Mapping[str, str]], Awaitable[PostAnswer]]
"""Sends JSON with headers to a URL, and returns the answer.

Raises `KallyAIError`: its code is `timeout`, `tls_error`, `connection_refused`, or `busy` when too many are being sent.
"""

MayTry = Callable[[str, str], float]
"""Counts one challenge of an account to a host; returns 0, or the seconds until one more is allowed."""


class CallbackError(KallyAIError):
    """A URL did not answer the challenge. The code is one of the SEP's reasons, such as `challenge_failed`."""

    default_code = "challenge_failed"


class TooManyError(KallyAIError):
    """The account has `MOST_PER_ACCOUNT` subscriptions, or too many URLs were challenged (code `challenges`)."""

    default_code = "subscriptions"


@dataclass(frozen=True)
class GrantedSubscription(SubscriptionStart):
    """A subscription that was added or refreshed.

    Attributes:
        id: The id of the subscription, which is in a header of each message.
        refreshed: The subscription before it was refreshed; None for a new one.
    """

    id: str
    refreshed: WebhookSubscription | None


class Webhooks:
    """Subscriptions of URLs, and the delivery of events to them.

    Args:
        store: The subscriptions and the messages in the ledger.
        post: Sends a message; it must refuse private addresses.
        clock: The clock.
        may_try: Limits the challenges.
    """

    def __init__(self, store: WebhookStore, post: Post, clock: Clock, may_try: MayTry) -> None:
        self._store, self._post, self._clock, self._may_try = store, post, clock, may_try
        self._at_once = anyio.CapacityLimiter(_AT_ONCE)
        self._challenges = 0

    async def subscribe(
        self,
        account: AccountKey,
        *,
        url: str,
        host: str,
        name: str,
        call_id: str | None,
        secret: str,
        after: int | None,
        since: datetime | None,
        ttl: timedelta | None,
        until: datetime | None = None,
        sign_in: str | None = None,
    ) -> GrantedSubscription:
        """Add a subscription or refresh it. A URL that is new to the account must answer a challenge.

        Args:
            account: The account.
            url: The URL of the receiver; https.
            host: The host of the URL; the number of challenges is limited for each host.
            name: The event type.
            call_id: The call or list that the events are about; None for all.
            secret: A secret for which `is_secret` is true.
            after: The position after which to begin; None to begin with what happens from now on.
            since: Events before this time are left out (aware); None to leave out none.
            ttl: How long the client wants the subscription to last; None for `TTL_MAX`.
            until: When the client's bearer token expires (aware), which may shorten the time to `TTL_MIN`.
            sign_in: The sign-in of the client, if it is known.

        Raises:
            CallbackError: The URL can't be reached, or did not answer the challenge.
            TooManyError: The account has too many subscriptions, or too many URLs were challenged.
            LedgerUnavailableError: The ledger can't be used.
        """
        now = self._clock.now()
        lifetime = max(TTL_MIN, min(ttl or TTL_MAX, TTL_MAX, until - now if until is not None else TTL_MAX))
        id_ = subscription_id(account, url, name, call_id)
        wanted = WebhookSubscription(id_, account, url, name, call_id, secret, now + lifetime, sign_in)
        present = await self._store.subscriptions(account)
        refreshed = next((each for each in present if each.id == id_), None)
        if refreshed is None and len(present) >= MOST_PER_ACCOUNT:
            raise _too_many()
        if not any(each.url == url for each in present):
            await self._challenge(wanted, host)
        start = await self._store.put(wanted, after, since, lifetime=lifetime, most=MOST_PER_ACCOUNT)
        if start is None:  # others were added while the URL was challenged
            raise _too_many()
        return GrantedSubscription(**vars(start), id=id_, refreshed=refreshed)

    async def unsubscribe(self, account: AccountKey, *, url: str, name: str, call_id: str | None) -> bool:
        """End a subscription, which is the one with these arguments of `subscribe`; False when there is none.

        Raises:
            LedgerUnavailableError: The ledger can't be used.
        """
        return await self._store.drop(account, subscription_id(account, url, name, call_id))

    async def run(self) -> None:
        """Send events until canceled. Errors are logged."""
        while True:
            try:
                await self.send_due()
            except LedgerUnavailableError:
                _log.warning("webhooks wait: the ledger can't be used")
            except Exception:  # noqa: BLE001 - one bad row must not end all deliveries
                _log.exception("webhooks: an unexpected error")
            await self._clock.sleep(INTERVAL)

    async def send_due(self) -> None:
        """Send the messages that are due now, several at the same time.

        Raises:
            LedgerUnavailableError: The ledger can't be used.
        """
        await self._store.fill()
        dues = await self._store.take_due(_LEASE, 4 * _AT_ONCE, _SHARE)
        async with anyio.create_task_group() as tasks:
            for due in dues:
                tasks.start_soon(self._deliver, due)

    async def _challenge(self, wanted: WebhookSubscription, host: str) -> None:
        account = f"{wanted.account.api} {wanted.account.account}"
        if self._challenges >= _CHALLENGES_AT_ONCE or self._may_try(account, host.rstrip(".")) > 0:
            raise TooManyError("Too many URLs were tried; try again in a minute.", code="challenges")
        challenge = secrets.token_urlsafe(32)
        body = json.dumps({"type": "verification", "challenge": challenge}).encode()
        message_id = f"msg_verification_{secrets.token_hex(8)}"
        self._challenges += 1
        try:
            answer = await self._post(wanted.url, body, self._headers(wanted, message_id, body))
        except KallyAIError as error:
            if error.code == _BUSY:
                raise TooManyError("Too many URLs are being tried; try again in a minute.", code="challenges") from None
            raise CallbackError(f"The callback can't be used: {error.message}.", code=_reason(error)) from None
        finally:
            self._challenges -= 1
        if not 200 <= answer.status < 300 or not hmac.compare_digest(_echoed(answer.body), challenge.encode()):
            raise CallbackError("The callback did not echo the challenge.")

    async def _deliver(self, taken: DueMessage) -> None:
        """Send one message. When the ledger can't be used, another worker sends the message later."""
        async with self._at_once:
            try:
                due = await self._store.renewed(taken)  # it may have waited for its turn
                if due is not None:
                    await self._note(due, *await self._send(due))
            except LedgerUnavailableError:
                _log.warning("a webhook's delivery was not noted: the ledger can't be used; the message is sent again")

    async def _send(self, due: DueMessage) -> tuple[PostAnswer | None, str]:
        """Send one message; returns the receiver's answer, or None and the SEP's reason for having none."""
        body = json.dumps(due.body).encode()
        try:
            headers = self._headers(due.subscription, due.message_id, body)
            return await self._post(due.subscription.url, body, headers), ""
        except KallyAIError as error:
            return None, error.code if error.code == _BUSY else _reason(error)
        except Exception:  # noqa: BLE001 - the other messages that are being sent must not be interrupted
            _log.exception("a webhook's message could not be sent: an unexpected error")
            return None, "connection_refused"

    async def _note(self, due: DueMessage, answer: PostAnswer | None, error: str) -> None:
        """Write down the result of `_send`; raises `LedgerUnavailableError`."""
        status = answer.status if answer is not None else 0
        if 200 <= status < 300:
            await self._store.settle(due)
            return
        error = error or ("http_5xx" if status >= 500 else "http_4xx")
        if error == _BUSY:
            await self._store.retry(due, None, PAUSES[0])
        elif status == _GONE:
            _log.info("a webhook ends: its receiver wants no more")
            await self._store.end(due, _ENDED_BY_RECEIVER)
        elif status == _TOO_LARGE or due.attempts >= len(PAUSES):
            _log.warning("a webhook's message was given up: %s", error)
            await self._store.settle(due, error=error)
        else:
            asked = (answer.retry_after if answer is not None else None) or 0.0
            await self._store.retry(due, error, max(PAUSES[due.attempts], min(asked, LONGEST_PAUSE)))

    def _headers(self, subscription: WebhookSubscription, message_id: str, body: bytes) -> dict[str, str]:
        """The headers of a message by the Standard Webhooks, signed for the current time."""
        from standardwebhooks import Webhook  # imported late: only a server with webhooks needs it

        now = self._clock.now()
        keys = [subscription.secret]
        if subscription.old_secret is not None and (until := subscription.old_secret_until) is not None and until > now:
            keys.append(subscription.old_secret)
        signatures = [Webhook(key).sign(message_id, now, body.decode()) for key in keys]
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
            "X-MCP-Subscription-Id": subscription.id,
        }


def subscription_id(account: AccountKey, url: str, name: str, call_id: str | None) -> str:
    """The id of a subscription, which is the same for the same arguments."""
    named = json.dumps([account.api, account.account, url, name, call_id])
    return f"sub_{hashlib.sha256(named.encode()).hexdigest()[:24]}"


_PREFIX: Final = "whsec_"
_BUSY: Final = "busy"


def _too_many() -> TooManyError:
    return TooManyError(f"You have {MOST_PER_ACCOUNT} subscriptions, which is the most. End one first.")


def is_secret(secret: str) -> bool:
    """Whether a secret is `whsec_` and the base64 of 24 to 64 bytes."""
    try:
        key = base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return False
    return secret.startswith(_PREFIX) and 24 <= len(key) <= 64


def _echoed(answer: bytes) -> bytes:
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):
        return b""
    echoed = parsed.get("challenge") if isinstance(parsed, dict) else None
    return echoed.encode("utf-8", "replace") if isinstance(echoed, str) else b""


def _reason(error: KallyAIError) -> str:
    """The SEP's reason for a URL that could not be reached."""
    return error.code if error.code in ("timeout", "tls_error") else "connection_refused"
