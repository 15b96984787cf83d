"""Webhooks: a receiver is told that events for it are gone, and that its subscription was ended."""

from datetime import timedelta

import psycopg
import pytest
from standardwebhooks import Webhook

from kallyai_mcp.calls.events import ENDED
from kallyai_mcp.calls.ledger.ledger import Ledger
from kallyai_mcp.calls.webhooks import PAUSES, TTL_MAX, Webhooks
from tests.calls.manual_time import ManualClock
from tests.calls.samples import ACCOUNT, another, ended
from tests.calls.webhook_receiver import OTHER, SECRET, URL, Receiver, Revoke, Worker, subscribe, webhooks_in


async def fail_until_given_up(webhooks: Webhooks, receiver: Receiver, clock: ManualClock) -> None:
    receiver.status = 503
    for pause in (0.0, *PAUSES):
        clock.advance(pause)
        await webhooks.send_due()
    receiver.status = 200


async def test_a_receiver_is_told_that_events_were_deleted_before_they_could_be_sent(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    granted = await subscribe(webhooks)
    await ended(ledger, another(1))
    await ledger.events(ACCOUNT, 0)  # another client reads, so the event is noted
    clock.advance(60)
    await ledger.purge(30)
    await webhooks.send_due()
    headers, (_, _, text) = receiver.headers, receiver.posts[-1]
    await ended(ledger, another(2))
    await webhooks.send_due()
    refreshed = await subscribe(webhooks)

    assert receiver.notices == [{"type": "gap", "cursor": "1"}]
    assert headers["webhook-id"].startswith("msg_gap_")
    assert headers["X-MCP-Subscription-Id"] == granted.id
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], clock.now(), text)
    assert [event["data"]["tracking_id"] for event in receiver.events] == ["t-2"]
    assert (refreshed.position, refreshed.has_gap) == (2, False)


async def test_a_receiver_is_told_that_an_event_was_deleted_while_it_was_sent_again(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = 503
    await webhooks.send_due()
    receiver.status = 200
    clock.advance(PAUSES[0])
    await ledger.purge(1)
    for _ in range(3):
        await webhooks.send_due()

    assert len(receiver.events) == 1
    assert receiver.notices == [{"type": "gap", "cursor": "1"}]


async def test_a_receiver_is_told_that_an_event_was_given_up_and_of_nothing_before_it(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=TTL_MAX)
    await ended(ledger, another(1))
    await fail_until_given_up(webhooks, receiver, clock)
    receiver.status = 503
    await ended(ledger, another(2))
    await webhooks.send_due()
    first_try = receiver.notices[:]
    receiver.status = 200
    clock.advance(PAUSES[0])
    await webhooks.send_due()

    assert first_try == [{"type": "gap", "cursor": "1"}]  # the second event is still to be sent
    assert [notice["cursor"] in ("1", "2") for notice in receiver.notices[1:]] == [True]
    ids = {headers["webhook-id"] for body, headers, _ in receiver.posts if body.get("type") == "gap"}
    assert len(ids) == 1
    assert (await subscribe(webhooks)).has_gap is False


async def test_a_refresh_tells_of_a_gap_whose_notice_was_not_taken_either(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=TTL_MAX)
    await ended(ledger, another(1))
    await fail_until_given_up(webhooks, receiver, clock)
    await fail_until_given_up(webhooks, receiver, clock)
    clock.advance(3600)
    await webhooks.send_due()
    tries = len(receiver.notices)
    refreshed = [await subscribe(webhooks) for _ in range(2)]

    assert tries == 1 + len(PAUSES)
    assert [(each.position, each.has_gap) for each in refreshed] == [(1, True), (1, False)]


async def test_a_gap_that_is_found_while_its_notice_is_on_its_way_has_a_notice_of_its_own(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock
) -> None:
    await subscribe(webhooks, ttl=TTL_MAX)
    await ended(ledger, another(1))
    await fail_until_given_up(webhooks, receiver, clock)
    another_worker = worker()

    async def lose_another() -> None:
        receiver.wait = None
        await ended(ledger, another(2))
        await ledger.events(ACCOUNT, 0)
        clock.advance(1)
        await ledger.purge(0.5)
        await another_worker.send_due()

    receiver.wait = lose_another
    await webhooks.send_due()
    clock.advance(60)
    await webhooks.send_due()

    assert receiver.notices == [{"type": "gap", "cursor": "1"}, {"type": "gap", "cursor": "2"}]
    assert (await subscribe(webhooks)).has_gap is False


async def test_a_receiver_is_told_once_that_the_sign_in_of_its_subscription_was_revoked(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, revoke: Revoke, place: str
) -> None:
    granted = await subscribe(webhooks, sign_in="family-1")
    await ended(ledger, another(1))
    await revoke()
    receiver.status = 503
    await webhooks.send_due()
    receiver.status = 200
    clock.advance(PAUSES[0])
    for _ in range(2):
        await webhooks.send_due()
    headers, (_, _, text) = receiver.headers, receiver.posts[-1]

    (first, second) = receiver.notices
    assert first == second
    assert (first["type"], first["error"]["code"]) == ("terminated", -32024)
    assert first["error"]["data"] == {"reason": "Access revoked"}
    assert headers["webhook-id"].startswith("msg_terminated_")
    assert headers["X-MCP-Subscription-Id"] == granted.id
    assert headers["webhook-signature"] == Webhook(SECRET).sign(headers["webhook-id"], clock.now(), text)
    assert receiver.events == []
    assert not await webhooks.unsubscribe(ACCOUNT, url=URL, name=ENDED, call_id=None)
    assert await webhooks_in(place) == []


async def test_a_receiver_that_is_subscribed_again_hears_nothing_of_the_end_before(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, revoke: Revoke
) -> None:
    await subscribe(webhooks, sign_in="family-1")
    await revoke()
    receiver.status = 503
    await webhooks.send_due()
    receiver.status = 200
    again = await subscribe(webhooks, sign_in="family-2")
    await ended(ledger, another(1))
    for _ in range(3):
        clock.advance(PAUSES[0])
        await webhooks.send_due()

    assert again.refreshed is None
    assert len(receiver.notices) == 1
    assert [event["data"]["tracking_id"] for event in receiver.events] == ["t-1"]


async def test_an_end_that_was_on_its_way_does_not_end_a_new_subscription(
    worker: Worker, webhooks: Webhooks, ledger: Ledger, receiver: Receiver, revoke: Revoke
) -> None:
    await subscribe(webhooks, sign_in="family-1")
    await revoke()
    another_worker = worker()

    async def subscribe_again() -> None:
        receiver.wait = None
        await subscribe(another_worker, sign_in="family-2")

    receiver.wait = subscribe_again
    await webhooks.send_due()
    await ended(ledger, another(1))
    await webhooks.send_due()

    assert [event["data"]["tracking_id"] for event in receiver.events] == ["t-1"]


@pytest.mark.parametrize(("taken", "messages"), [(200, 1), (410, 1), (503, 1 + len(PAUSES))])
async def test_a_receiver_that_answers_410_is_told_that_this_ended_its_subscription(
    webhooks: Webhooks,
    ledger: Ledger,
    receiver: Receiver,
    clock: ManualClock,
    place: str,
    taken: int,
    messages: int,
) -> None:
    await subscribe(webhooks)
    receiver.status = 410
    await ended(ledger, another(1))
    await webhooks.send_due()
    receiver.status = taken
    await ended(ledger, another(2))
    for pause in (0.0, *PAUSES, 600.0):
        clock.advance(pause)
        await webhooks.send_due()

    assert len(receiver.events) == 1
    assert len(receiver.notices) == messages
    assert receiver.notices[0]["error"]["code"] == -32027
    assert receiver.notices[0]["error"]["data"] == {"reason": "http_4xx"}
    assert await webhooks_in(place) == []


async def test_the_end_of_the_time_that_was_granted_and_an_end_by_the_client_need_no_notice(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, place: str
) -> None:
    await subscribe(webhooks, ttl=timedelta(minutes=10))
    await subscribe(webhooks, call_id="c-t-1")
    assert await webhooks.unsubscribe(ACCOUNT, url=URL, name=ENDED, call_id="c-t-1")
    clock.advance(600)
    await ended(ledger, another(1))
    await webhooks.send_due()

    assert receiver.notices == []
    assert await webhooks_in(place) == []


async def test_the_end_of_one_account_s_subscription_is_told_to_it_alone(
    webhooks: Webhooks, receiver: Receiver, revoke: Revoke
) -> None:
    granted = await subscribe(webhooks, sign_in="family-1")
    await subscribe(webhooks, OTHER, sign_in="family-2")
    await revoke()
    await webhooks.send_due()

    assert len(receiver.notices) == 1
    assert receiver.headers["X-MCP-Subscription-Id"] == granted.id


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_a_worker_skips_events_that_another_one_is_taking(
    webhooks: Webhooks, ledger: Ledger, receiver: Receiver, clock: ManualClock, database_url: str
) -> None:
    await subscribe(webhooks)
    await ended(ledger, another(1))
    receiver.status = 503
    await webhooks.send_due()
    receiver.status = 200
    clock.advance(PAUSES[0])
    with psycopg.connect(database_url) as slow:
        slow.execute("SELECT * FROM webhook_outbox FOR UPDATE")  # as a worker does in the moment before it commits
        await webhooks.send_due()
        meanwhile = len(receiver.events)
        slow.rollback()
    await webhooks.send_due()

    assert (meanwhile, len(receiver.events)) == (1, 2)
