"""A receiver of webhooks without a network, and a client that subscribes it."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import anyio

from kallyai_mcp.calls.events import ENDED
from kallyai_mcp.calls.ledger.base import Row
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.webhooks import GrantedSubscription, Webhooks
from kallyai_mcp.common_types import PostAnswer
from tests.calls.ledgers import database_at
from tests.calls.samples import ACCOUNT

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NEW_SECRET = "whsec_" + base64.b64encode(bytes(range(1, 33))).decode()
HOST = "receiver.example"
URL = f"https://{HOST}/hooks/1"
OTHER = AccountKey(ACCOUNT.api, "account-2")

Worker = Callable[..., Webhooks]
"""Makes a worker with a database of its own."""

Revoke = Callable[[], Awaitable[None]]
"""Revokes the sign-in `family-1`."""


async def webhooks_in(place: str) -> list[Row]:
    """What the ledger there has of subscriptions, and of what is to be sent."""
    both = "SELECT id FROM webhook_subscriptions UNION ALL SELECT subscription FROM webhook_outbox"
    async with aclosing(database_at(place)) as database:
        return await database.read(lambda tx: tx.rows(both), empty=[])


@dataclass
class Receiver:
    """A receiver of webhooks: it echoes challenges, and answers events with `status`."""

    status: int = 200
    retry_after: float | None = None
    echoes: bool = True
    posts: list[tuple[dict[str, Any], Mapping[str, str], str]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None
    wait: Callable[[], Awaitable[object]] | None = None
    error: Callable[[dict[str, Any]], Exception | None] = lambda _: None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> PostAnswer:
        parsed: dict[str, Any] = json.loads(body)
        self.posts.append((parsed, headers, body.decode()))
        if parsed.get("type") == "verification":
            return PostAnswer(200, json.dumps({"challenge": parsed["challenge"] if self.echoes else "x"}).encode())
        self.before()
        await (self.wait or anyio.lowlevel.checkpoint)()
        if "eventId" in parsed and (error := self.error(parsed)) is not None:
            raise error
        assert url.startswith(f"https://{HOST}/")
        return PostAnswer(self.status, retry_after=self.retry_after)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [body for body, _, _ in self.posts if "eventId" in body]

    @property
    def notices(self) -> list[dict[str, Any]]:
        return [body for body, _, _ in self.posts if body.get("type") in ("gap", "terminated")]

    @property
    def headers(self) -> Mapping[str, str]:
        """Those of the last message."""
        return self.posts[-1][1]


async def subscribe(webhooks: Webhooks, account: AccountKey = ACCOUNT, **changes: Any) -> GrantedSubscription:
    wanted = {"url": URL, "host": HOST, "name": ENDED, "call_id": None, "secret": SECRET}
    return await webhooks.subscribe(
        account, **{**wanted, "after": None, "since": None, "ttl": timedelta(hours=1), **changes}
    )
