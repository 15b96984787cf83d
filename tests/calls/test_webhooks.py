"""Webhooks: an event reaches its receiver, and only it, although the receiver, the worker, or the network fails."""

import base64
from dataclasses import replace
from datetime import timedelta

import anyio
import pytest
from standardwebhooks import Webhook

from kallyai_mcp.calls.events import ENDED
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.webhooks import (
    MOST_PER_ACCOUNT,
    PAUSES,
    TTL_MAX,
    TTL_MIN,
    CallbackError,
    TooManyError,
    Webhooks,
    is_secret,
)
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, NOW, another, ended
from tests.calls.webhook_receiver import (
    HOST,
    NEW_SECRET,
    OTHER,
    SECRET,
    URL,
    Receiver,
    Worker,
    subscribe,
)


async def test_an_event_is_sent_signed_and_once(webhooks: Webhooks, ledger: Ledger, receiver: Receiver) -> None:
    granted = await subscribe(webhooks)
    await ended(ledger, another(1))
    for _ in range(2):
        await webhooks.send_due()

    (event,) = receiver.events
    page = await ledger.events(ACCOUNT, granted.position)
    assert event["eventId"] == page.events[0].event_id == receiver.headers["webhook-id"]
    assert event["data"] == page.events[0].data
    assert event["cursor"] == str(page.position)
    assert receiver.headers["X-MCP-Subscription-Id"] == granted.id
    for _, headers, body in receiver.posts:
        signed = Webhook(SECRET).sign(headers["webhook-id"], NOW, body)
        assert (headers["webhook-signature"], headers["webhook-timestamp"]) == (signed, str(int(NOW.timestamp())))


async def test_a_url_that_does_not_echo_the_challenge_gets_nothing(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    receiver.echoes = False
    with pytest.raises(CallbackError) as refused:
        await subscribe(webhooks)
    await ended(ledger, another(1))
    await webhooks.send_due()

    assert refused.value.code == "challenge_failed"
    assert receiver.events == []


async def test_a_url_is_challenged_once_for_an_account_and_again_for_another(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    for account in (ACCOUNT, ACCOUNT, OTHER):
        await subscribe(webhooks, account, call_id=f"c-{len(receiver.posts)}")

    assert len(receiver.posts) == 2


async def test_an_event_that_was_not_taken_is_sent_again_later_with_the_same_id(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = 503
    await webhooks.send_due()
    clock.advance(PAUSES[0] - 1)
    await webhooks.send_due()
    too_early = len(receiver.events)
    clock.advance(1)
    receiver.status = 204
    await webhooks.send_due()
    clock.advance(3600)
    await webhooks.send_due()

    first, second = receiver.events
    assert too_early == 1
    assert first == second
    stamps = [headers["webhook-timestamp"] for body, headers, _ in receiver.posts if "eventId" in body]
    assert int(stamps[1]) - int(stamps[0]) == PAUSES[0]


async def test_an_event_is_given_up_after_the_last_pause_and_the_next_one_is_sent(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=TTL_MAX)
    await ended(ledger, another(1))
    receiver.status = 500
    for pause in (0.0, *PAUSES, 3600.0):
        clock.advance(pause)
        await webhooks.send_due()
    tries = len(receiver.events)
    receiver.status = 200
    await ended(ledger, another(2))
    await webhooks.send_due()
    again = await subscribe(webhooks)

    assert tries == 1 + len(PAUSES)
    assert receiver.events[-1]["data"]["tracking_id"] == "t-2"
    assert again.refreshed is not None
    assert again.refreshed.last_error is None
    assert again.position == 2


async def test_a_worker_that_dies_while_it_sends_leaves_the_event_to_another(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    with anyio.CancelScope() as dying:
        receiver.before = dying.cancel
        await webhooks.send_due()
    receiver.before = lambda: None
    another_worker = worker()
    await another_worker.send_due()
    at_once = len(receiver.events)
    clock.advance(60)
    await another_worker.send_due()

    assert at_once == 1
    assert [event["eventId"] for event in receiver.events] == [receiver.events[0]["eventId"]] * 2


async def test_workers_that_look_at_once_send_each_event_once(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    for number in range(20):
        await subscribe(webhooks, call_id=f"t-{number}")
        await ended(ledger, another(number))
    workers = [webhooks, worker(), worker(), worker()]
    for _ in range(3):
        async with anyio.create_task_group() as tasks:
            for each in workers:
                tasks.start_soon(each.send_due)

    assert len(receiver.events) == len({event["eventId"] for event in receiver.events}) == 20


@pytest.mark.parametrize(("status", "sent"), [(410, 1), (413, 2)])
async def test_410_ends_the_subscription_and_413_only_the_event(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, status: int, sent: int
) -> None:
    await subscribe(webhooks)
    receiver.status = status
    for number in (1, 2):
        await ended(ledger, another(number))
        await webhooks.send_due()
        clock.advance(900)
        await webhooks.send_due()

    assert len(receiver.events) == sent


async def test_nothing_is_sent_after_the_end_of_a_subscription(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    granted = await subscribe(webhooks, ttl=timedelta(minutes=10))
    ended_by_client = await subscribe(webhooks, call_id="c-t-1")
    assert await webhooks.unsubscribe(ACCOUNT, url=URL, name=ENDED, call_id="c-t-1")
    assert not await webhooks.unsubscribe(ACCOUNT, url=URL, name=ENDED, call_id="c-t-1")
    clock.advance(600)
    await ended(ledger, another(1))
    await webhooks.send_due()

    assert granted.expires_at == NOW + timedelta(minutes=10)
    assert ended_by_client.id != granted.id
    assert receiver.events == []


async def test_nothing_is_sent_of_another_account_or_another_call(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver
) -> None:
    await subscribe(webhooks, OTHER)
    await subscribe(webhooks, call_id="t-2")
    await ended(ledger, another(1))
    await ended(ledger, another(2))
    await ended(ledger, replace(another(3), account=OTHER))
    await webhooks.send_due()

    told = {(headers["X-MCP-Subscription-Id"], body["data"]["tracking_id"]) for body, headers, _ in receiver.posts[2:]}
    assert {tracking_id for _, tracking_id in told} == {"t-2", "t-3"}
    assert len({id_ for id_, _ in told}) == 2


async def test_a_client_that_was_away_begins_where_it_was(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    granted = await subscribe(webhooks, ttl=TTL_MIN)
    clock.advance(TTL_MIN.total_seconds())
    await ended(ledger, another(1))
    clock.advance(60)
    await ended(ledger, another(2))
    again = await subscribe(webhooks, after=granted.position)
    await webhooks.send_due()
    bounded = await subscribe(webhooks, after=granted.position, call_id="x", since=clock.now() - timedelta(seconds=30))

    assert sorted(event["data"]["tracking_id"] for event in receiver.events) == ["t-1", "t-2"]  # both were sent at once
    assert (again.position, again.has_gap, again.refreshed) == (0, False, None)
    assert (bounded.position, bounded.has_gap) == (1, True)


async def test_the_cursor_stays_behind_an_event_that_was_not_taken(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = 503
    await webhooks.send_due()
    receiver.status = 200
    await ended(ledger, another(2))
    clock.advance(1)
    await webhooks.send_due()
    refreshed = await subscribe(webhooks)
    await webhooks.send_due()  # after a refresh, the event that would have waited is sent at once

    cursors = [(event["data"]["tracking_id"], event["cursor"]) for event in receiver.events]
    assert cursors == [("t-1", "1"), ("t-2", "0"), ("t-1", "1")]
    assert (refreshed.position, (await subscribe(webhooks)).position) == (0, 2)
    assert refreshed.refreshed is not None
    assert refreshed.refreshed.last_delivery_at == NOW + timedelta(seconds=1)


async def test_both_secrets_sign_for_a_while_after_a_change(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await subscribe(webhooks, secret=NEW_SECRET)
    counts = []
    for number in (1, 2):
        await ended(ledger, another(number))
        await webhooks.send_due()
        counts.append(len(receiver.headers["webhook-signature"].split()))
        clock.advance(301)

    body, headers, text = receiver.posts[-1]
    assert counts == [2, 1]
    now = clock.now() - timedelta(seconds=301)
    assert headers["webhook-signature"] == Webhook(NEW_SECRET).sign(body["eventId"], now, text)


async def test_an_account_has_a_most_and_a_host_is_not_flooded(
    worker: Worker, webhooks: Webhooks, receiver: Receiver
) -> None:
    for number in range(MOST_PER_ACCOUNT):
        await subscribe(webhooks, call_id=f"c-{number}")
    with pytest.raises(TooManyError, match=str(MOST_PER_ACCOUNT)):
        await subscribe(webhooks, call_id="one more")
    busy = worker(may_try=lambda _, host: float(host == HOST))
    with pytest.raises(TooManyError, match="in a minute"):
        await subscribe(busy, OTHER)

    assert len(receiver.posts) == 1


@pytest.mark.parametrize(
    ("asked", "granted"),
    [
        (timedelta(seconds=1), TTL_MIN),
        (timedelta(hours=2), timedelta(hours=2)),
        (timedelta(days=9), TTL_MAX),
        (None, TTL_MAX),
    ],
)
async def test_the_time_until_a_refresh_is_bounded(
    webhooks: Webhooks, asked: timedelta | None, granted: timedelta
) -> None:
    assert (await subscribe(webhooks, ttl=asked)).expires_at == NOW + granted


@pytest.mark.parametrize("key", [bytes(23), bytes(65), b""])
def test_a_secret_has_24_to_64_bytes(key: bytes) -> None:
    assert is_secret(SECRET)
    assert not is_secret("whsec_" + base64.b64encode(key).decode())
    for wrong in (SECRET.removeprefix("whsec_"), "whsec_!!!!", "whsec_é"):
        assert not is_secret(wrong)
