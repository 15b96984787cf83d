"""The subscriptions of webhooks: who wants which events at which URL. What is still to be sent is in `outbox.py`."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from kallyai_mcp.calls.ledger import events, outbox
from kallyai_mcp.calls.ledger.base import Transactions, Tx, moment, reads, seconds_or_none, writes
from kallyai_mcp.calls.ledger.reservation import insert
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.webhook_records import DueMessage, SubscriptionStart, WebhookSubscription

_OVERLAP = 300.0
"""Seconds for which the secret before signs, too."""


class WebhookStore(Transactions):
    """Subscriptions and the outbox."""

    subscriptions = reads(outbox.live, empty=())

    async def put(
        self, given: WebhookSubscription, after: int | None, since: datetime | None, *, lifetime: timedelta, most: int
    ) -> SubscriptionStart | None:
        """Add a subscription, or refresh the one with the same id, which goes on where it is.

        Args:
            given: The subscription; its `position` and `expires_at` are chosen here.
            after: The position to begin at; None to begin with what happens from now on.
            since: Leave out what happened before.
            lifetime: After which time it ends, by the database's clock.
            most: How many subscriptions the account may have.

        Returns:
            None when the account has `most` others.
        """

        def work(tx: Tx) -> SubscriptionStart | None:
            events.note(tx, given.account)  # locks the account
            wanted = replace(given, expires_at=moment(tx.now() + lifetime.total_seconds()))
            present = outbox.live(tx, wanted.account)
            before = next((each for each in present if each.id == wanted.id), None)
            if before is not None:
                return _refresh(tx, before, wanted)
            if len(present) >= most:
                return None
            page = events.read(tx, wanted.account, after, seconds_or_none(since), 1)
            start = page.position
            if after is not None and not (page.has_gap and not page.events):
                start = page.events[0].position - 1 if page.has_gap else after
            outbox.delete(tx, wanted.id)  # one that has ended, with the notice that it has
            kept = {name: getattr(wanted, name) for name in ("id", "url", "name", "call_id", "secret", "sign_in")}
            place = {"expires_at": wanted.expires_at.timestamp(), "position": start}
            insert(tx, "webhook_subscriptions", kept | wanted.account.columns | place)
            return SubscriptionStart(start, page.has_gap, wanted.expires_at)

        return await self._database.write(work)

    drop = writes(outbox.drop)

    async def fill(self) -> None:
        """Put what has happened since the last time into the outbox, and end the subscriptions whose time is over."""
        accounts: list[AccountKey] = await self._database.read(outbox.accounts_to_fill, empty=[])
        for account in accounts:
            await self._database.write(partial(outbox.fill, account=account))

    async def take_due(self, seconds: float, most: int, share: int) -> list[DueMessage]:
        """Take messages that are due, the oldest first; each is free again after so many seconds, unless it is settled.

        At most `most`, and of them `share` of one account, so that its slow receivers hold up nobody else.
        """
        if not await self._database.read(outbox.is_due, empty=False):
            return []
        found, lost = await self._database.write(lambda tx: outbox.take(tx, seconds, most, share))
        if lost:
            await self._database.write(lambda tx: outbox.drop_lost(tx, lost))
        return found

    renewed = reads(outbox.renewed, empty=None)
    settle = writes(outbox.settle)
    retry = writes(outbox.retry)
    end = writes(outbox.end)


def _refresh(tx: Tx, before: WebhookSubscription, wanted: WebhookSubscription) -> SubscriptionStart:
    now, is_new = tx.now(), before.secret != wanted.secret
    tx.run(
        "UPDATE webhook_subscriptions SET secret = :secret, expires_at = :expires_at, sign_in = :sign_in, "
        "old_secret = :old, old_secret_until = :until, has_gap = 0 WHERE id = :id",
        id=wanted.id,
        secret=wanted.secret,
        sign_in=wanted.sign_in,
        expires_at=wanted.expires_at.timestamp(),
        old=before.secret if is_new else before.old_secret,
        until=now + _OVERLAP if is_new else seconds_or_none(before.old_secret_until),
    )
    tx.run("UPDATE webhook_outbox SET due_at = :now WHERE subscription = :id AND due_at > :now", id=wanted.id, now=now)
    position = outbox.watermark(tx, before.id, before.position)
    return SubscriptionStart(position, has_gap=before.has_gap, expires_at=wanted.expires_at)
