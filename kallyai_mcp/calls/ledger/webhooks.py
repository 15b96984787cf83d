"""The transactions of webhooks' subscriptions. Those of the messages that are still to be sent are in `outbox.py`."""

from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from kallyai_mcp.calls.ledger import events, outbox
from kallyai_mcp.calls.ledger.base import Transactions, Tx, moment, reads, seconds_or_none, writes
from kallyai_mcp.calls.ledger.reservation import insert
from kallyai_mcp.calls.records import AccountKey
from kallyai_mcp.calls.webhook_records import DueMessage, SubscriptionStart, WebhookSubscription

_OVERLAP = 300.0
"""Seconds for which the old secret of a subscription also signs."""


class WebhookStore(Transactions):
    """The subscriptions and the outbox. Every method is one transaction and raises `LedgerUnavailableError`."""

    subscriptions = reads(outbox.live, empty=())

    async def put(
        self, given: WebhookSubscription, after: int | None, since: datetime | None, *, lifetime: timedelta, most: int
    ) -> SubscriptionStart | None:
        """Add a subscription, or refresh the one with the same id, which keeps its position.

        Args:
            given: The subscription, without its `position` and `expires_at`.
            after: The position after which to begin; None to begin with what happens from now on.
            since: Events before this time are left out (aware); None to leave out none.
            lifetime: How long the subscription lasts, by the ledger's clock.
            most: The most subscriptions of the account.

        Returns:
            Where it begins or goes on; None when the account has `most` others.
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
            outbox.delete(tx, wanted.id)  # an ended subscription with the same id, and its notice
            kept = {name: getattr(wanted, name) for name in ("id", "url", "name", "call_id", "secret", "sign_in")}
            place = {"expires_at": wanted.expires_at.timestamp(), "position": start}
            insert(tx, "webhook_subscriptions", kept | wanted.account.columns | place)
            return SubscriptionStart(start, page.has_gap, wanted.expires_at)

        return await self._database.write(work)

    drop = writes(outbox.drop)

    async def fill(self) -> None:
        """Put new events into the outbox, and end the subscriptions that have expired or were revoked."""
        accounts: list[AccountKey] = await self._database.read(outbox.accounts_to_fill, empty=[])
        for account in accounts:
            await self._database.write(partial(outbox.fill, account=account))

    async def take_due(self, seconds: float, most: int, share: int) -> list[DueMessage]:
        """Take messages that are due, the oldest first.

        Args:
            seconds: How long no other worker may take them.
            most: The most messages.
            share: The most messages of one account, so that slow receivers of one account don't delay the others.
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
