"""The receivers and subscriptions of one account do not delay those of others; the account can end its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from standardwebhooks import Webhook

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.events import ENDED
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.ledger.webhooks import WebhookStore
from kallyai_mcp.calls.webhooks import LONGEST_PAUSE, MOST_PER_ACCOUNT, PAUSES, TTL_MIN, TooManyError, Webhooks
from tests.calls.ledgers import database_at
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, NOW, another, ended
from tests.calls.webhook_receiver import (
    NEW_SECRET,
    OTHER,
    SECRET,
    URL,
    Receiver,
    Revoke,
    Worker,
    subscribe,
    webhooks_in,
)


async def test_concurrent_requests_get_no_more_subscriptions_than_an_account_may_have(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    refused = 0

    async def add(number: int) -> None:
        nonlocal refused
        try:
            await subscribe(webhooks, call_id=f"c-{number}")
        except TooManyError:
            refused += 1

    await subscribe(webhooks)
    async with anyio.create_task_group() as tasks:
        for number in range(MOST_PER_ACCOUNT + 9):
            tasks.start_soon(add, number)

    assert refused == 10
    assert len(receiver.posts) == 1


async def test_retry_after_of_a_receiver_is_respected_up_to_an_hour(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=timedelta(hours=20))
    await ended(ledger, another(1))
    counts = []
    receiver.status = 429
    for asked, waited in ((600.0, 599.0), (600.0, 1.0), (1e9, LONGEST_PAUSE - 1), (0.0, 1.0)):
        receiver.retry_after = asked
        await webhooks.send_due()
        clock.advance(waited)
        counts.append(len(receiver.events))
    receiver.retry_after = None
    await webhooks.send_due()

    assert counts == [1, 1, 2, 2]
    assert len(receiver.events) == 3


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_failed_try(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, status: int
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = status
    await webhooks.send_due()
    clock.advance(PAUSES[0])
    receiver.status = 200
    await webhooks.send_due()

    assert len(receiver.events) == 2


async def nine_due(webhooks: Webhooks, ledger: Ledger) -> None:
    """Eight events of another account, which are sent at once, and then one of ours, which waits for its turn."""
    lasting: dict[str, Any] = {"ttl": timedelta(minutes=10), "sign_in": "family-1"}
    await subscribe(webhooks, call_id="t-8", **lasting)
    for number in range(8):
        await subscribe(webhooks, OTHER, call_id=f"t-{100 + number}", **lasting)
        await ended(ledger, replace(another(100 + number), account=OTHER))
        await ended(ledger, another(number))
    await ended(ledger, another(8))


@asynccontextmanager
async def eight_on_their_way(webhooks: Webhooks, receiver: Receiver) -> AsyncIterator[None]:
    """While the block runs, eight events are being sent, and a ninth waits."""
    goes_on = anyio.Event()
    receiver.wait = goes_on.wait
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(webhooks.send_due)
        with anyio.fail_after(30):
            while len(receiver.events) < 8:
                await anyio.lowlevel.checkpoint()
        receiver.wait = None
        yield
        goes_on.set()


@pytest.mark.parametrize("how", ["ended by its client", "revoked", "expired"])
async def test_an_event_that_was_taken_is_not_sent_after_the_end_of_its_subscription(
    how: str, revoke: Revoke, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await nine_due(webhooks, ledger)
    async with eight_on_their_way(webhooks, receiver):
        if how == "revoked":
            await revoke()
        elif how == "expired":
            clock.advance(600)
        else:
            assert await webhooks.unsubscribe(ACCOUNT, url=URL, name=ENDED, call_id="t-8")

    assert "t-8" not in [event["data"]["tracking_id"] for event in receiver.events]


async def test_an_event_that_was_taken_is_signed_with_the_newest_secret(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await nine_due(webhooks, ledger)
    async with eight_on_their_way(webhooks, receiver):
        await subscribe(webhooks, call_id="t-8", secret=NEW_SECRET)

    body, headers, text = receiver.posts[-1]
    assert body["data"]["tracking_id"] == "t-8"
    assert Webhook(NEW_SECRET).sign(body["eventId"], clock.now(), text) in headers["webhook-signature"].split()


async def test_a_revoked_sign_in_ends_its_subscriptions_and_no_others(
    revoke: Revoke, webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    await subscribe(webhooks, sign_in="family-1")
    await subscribe(webhooks, call_id="t-1", sign_in="family-2")
    await revoke()
    await ended(ledger, another(1))
    await webhooks.send_due()
    renewed = await subscribe(webhooks, sign_in="family-3")

    assert len(receiver.events) == 1
    assert renewed.refreshed is None


@pytest.mark.parametrize(("left", "granted"), [(timedelta(minutes=40), timedelta(minutes=40)), (timedelta(0), TTL_MIN)])
async def test_a_subscription_lasts_no_longer_than_its_bearer_token(
    webhooks: Webhooks, left: timedelta, granted: timedelta
) -> None:
    assert (await subscribe(webhooks, until=NOW + left)).expires_at == NOW + granted


async def test_a_refresh_does_not_send_an_event_again_that_is_being_sent(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    another_worker = worker()

    async def refresh() -> None:
        receiver.wait = None
        await subscribe(another_worker, secret=NEW_SECRET)
        await another_worker.send_due()

    receiver.wait = refresh
    await webhooks.send_due()

    assert len(receiver.events) == 1


async def test_a_worker_that_was_suspended_leaves_its_events_to_the_one_that_took_them_over(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await nine_due(webhooks, ledger)
    another_worker = worker()
    async with eight_on_their_way(webhooks, receiver):
        clock.advance(61)
        await another_worker.send_due()

    assert [event["data"]["tracking_id"] for event in receiver.events].count("t-8") == 1


async def test_slow_receivers_of_one_account_leave_places_to_another(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    for number in range(40):
        await subscribe(webhooks, call_id=f"t-{number}")
        await ended(ledger, another(number))
    await subscribe(webhooks, OTHER)
    await ended(ledger, replace(another(99), account=OTHER))
    await webhooks.send_due()

    assert [event["data"]["tracking_id"] for event in receiver.events].count("t-99") == 1
    assert len(receiver.events) == 9


@pytest.mark.parametrize(
    ("error", "tries"),
    [
        (lambda: KallyAIError("too many others", code="busy"), 40),
        (lambda: KallyAIError("no", code="timeout"), 1 + len(PAUSES)),
        (lambda: ValueError("unexpected"), 1 + len(PAUSES)),
    ],
)
async def test_only_an_event_that_was_sent_counts_as_a_try(
    error: Callable[[], Exception],
    tries: int,
    webhooks: Webhooks,
    ledger: Ledger,
    receiver: Receiver,
    clock: ManualClock,
) -> None:
    await subscribe(webhooks, ttl=timedelta(hours=20))
    await subscribe(webhooks, OTHER)
    await ended(ledger, another(1))
    await ended(ledger, replace(another(2), account=OTHER))
    receiver.error = lambda event: error() if event["data"]["tracking_id"] == "t-1" else None
    for _ in range(40):
        await webhooks.send_due()
        clock.advance(PAUSES[-1])

    told = [event["data"]["tracking_id"] for event in receiver.events]
    assert told.count("t-1") == tries
    assert told.count("t-2") == 1


async def test_tries_are_counted_only_from_the_moment_when_there_is_room(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=timedelta(hours=20))
    await ended(ledger, another(1))
    receiver.error = lambda _: KallyAIError("too many others", code="busy")
    for _ in range(10):
        await webhooks.send_due()
        clock.advance(PAUSES[0])
    refused, receiver.error, receiver.status = len(receiver.events), lambda _: None, 503
    for _ in range(10):
        await webhooks.send_due()
        clock.advance(PAUSES[-1])

    assert (refused, len(receiver.events) - refused) == (10, 1 + len(PAUSES))


async def test_a_suspended_worker_learns_of_events_that_another_one_has_taken_and_not_sent_yet(
    place: str, webhooks: Webhooks, ledger: Ledger, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    databases = [database_at(place, clock.now) for _ in range(2)]
    suspended, other = (WebhookStore(database) for database in databases)
    await suspended.fill()
    (first,) = await suspended.take_due(60, 8, 8)
    clock.advance(61)
    (second,) = await other.take_due(60, 8, 8)
    left = [await suspended.renewed(first), await other.renewed(second)]
    for database in databases:
        await database.aclose()

    assert [due is None for due in left] == [True, False]


async def test_a_receiver_that_is_down_for_days_leaves_nothing_behind(
    place: str, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=timedelta(days=1))
    receiver.status = 503
    for number in range(6):
        await ended(ledger, another(number))
        await webhooks.send_due()
        clock.advance(12 * 3600)
    for _ in range(1 + len(PAUSES)):
        await webhooks.send_due()
        clock.advance(PAUSES[-1])

    assert await webhooks_in(place) == []


async def test_nothing_of_a_url_or_a_secret_is_logged_when_it_fails(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = 500
    for pause in (0.0, *PAUSES):
        clock.advance(pause)
        await webhooks.send_due()
    receiver.status = 410
    await ended(ledger, another(2))
    await webhooks.send_due()

    assert "given up" in caplog.text
    assert "wants no more" in caplog.text
    assert URL not in caplog.text
    assert SECRET not in caplog.text
