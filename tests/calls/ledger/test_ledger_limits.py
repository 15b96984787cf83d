"""The call policy, the consent, and the audit trail in the ledger, on both drivers."""

import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.calls.errors import ConsentOutdatedError
from kallyai_mcp.calls.events import Cancel, Checked, Over, Requested
from kallyai_mcp.calls.ledger import rows
from kallyai_mcp.calls.ledger.base import Ledger
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent, RiskFlag
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallState
from kallyai_mcp.settings import Settings
from tests.calls.ledgers import (
    ACCOUNT,
    HERE,
    NOW,
    THERE,
    ago,
    another,
    asked,
    kept_record,
    opened,
    reserved,
)
from tests.calls.manual_time import ManualClock
from tests.calls.world import TABLE, Service, world

FORM = Consent("a-client 1.0", "form", (RiskFlag.LOCAL_HOUR, RiskFlag.URGENT), (None,))
UNCALLED = Consent("tests", "not_needed", last_calls=(None,))


async def refusal(
    place: str, clock: ManualClock, record: CallRecord, policy: CallPolicy
) -> PolicyError | None:
    """Reserve `record` under `policy`; the error that refuses it."""
    async with opened(place, clock.now, policy) as ledger:
        try:
            await ledger.handle(ACCOUNT, Requested(Checked(record, redial=False)))
        except PolicyError as error:
            return error
    return None


async def test_only_a_possibly_placed_call_counts(
    place: str, clock: ManualClock, ledger: Ledger
) -> None:
    policy = CallPolicy(Settings(calls_per_hour=1))
    refused, canceled, unknown = [await reserved(ledger, another(number)) for number in range(3)]
    await ledger.handle(ACCOUNT, Over(replace(refused, state=CallState.REFUSED)))
    await ledger.handle(ACCOUNT, Cancel(canceled.tracking_id))
    await ledger.handle(ACCOUNT, Over(replace(unknown, state=CallState.UNKNOWN)))

    assert await refusal(place, clock, another(3), policy) is not None
    await ledger.handle(ACCOUNT, Over(replace(unknown, state=CallState.REFUSED)))
    assert await refusal(place, clock, another(4), policy) is None


@pytest.mark.parametrize(
    ("policy", "window"),
    [
        (CallPolicy(Settings(calls_per_hour=2)), timedelta(hours=1)),
        (CallPolicy(Settings(calls_per_day=2)), timedelta(days=1)),
        (CallPolicy(Settings(calls_per_number=2)), timedelta(days=1)),
    ],
)
async def test_a_limit_frees_when_its_oldest_call_leaves(
    place: str, clock: ManualClock, policy: CallPolicy, window: timedelta
) -> None:
    spans = (window * 2, window, window - timedelta(minutes=10), timedelta(minutes=1))
    for number, span in enumerate(spans):
        await kept_record(place, another(number, asked_at=NOW - span))

    error = await refusal(place, clock, another(8), policy)
    clock.advance(599)
    still = await refusal(place, clock, another(9), policy)
    clock.advance(1)

    assert error is not None
    assert error.retry_after == pytest.approx(600)
    assert still is not None
    assert still.retry_after == pytest.approx(1)
    assert await refusal(place, clock, another(10), policy) is None


async def test_of_several_limits_the_longest_is_named(place: str, clock: ManualClock) -> None:
    await kept_record(place, another(1, asked_at=ago(minutes=5)))
    policy = CallPolicy(Settings(calls_per_hour=1, calls_per_number=1))
    error = await refusal(place, clock, another(2), policy)

    assert error is not None
    assert error.setting == "KALLYAI_CALLS_PER_NUMBER"
    assert error.retry_after == pytest.approx(86_400 - 300)


async def test_a_limit_of_no_calls_lasts_longest(place: str, clock: ManualClock) -> None:
    await kept_record(place, another(1, asked_at=ago(minutes=5)))
    policy = CallPolicy(Settings(calls_per_hour=1, calls_per_number=1, calls_per_day=0))
    error = await refusal(place, clock, another(3), policy)

    assert error is not None
    assert error.setting == "KALLYAI_CALLS_PER_DAY"
    assert error.retry_after is None
    assert str(error) == "this server allows no calls a day (KALLYAI_CALLS_PER_DAY)"


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        (CallPolicy(Settings(stop_calls=True)), "KALLYAI_STOP_CALLS"),
        (CallPolicy(Settings(calls_per_day=1)), "KALLYAI_CALLS_PER_DAY"),
    ],
)
async def test_a_duplicate_is_answered_whatever_forbids_new_calls(
    place: str, clock: ManualClock, policy: CallPolicy, setting: str
) -> None:
    service = Service(clock)
    async with world(service, place) as here:
        first = await here.call()
        await here.tell(first)
    refused = []
    async with world(service, place, policy=policy) as here:
        duplicate = await here.place()
        for redial, submission in (
            (True, TABLE),
            (False, TABLE.model_copy(update={"party_size": 9})),
        ):
            with pytest.raises(PolicyError) as raised:
                await here.place(submission, redial=redial)
            refused.append(raised.value.setting)
        trail = await here.ledger.read(rows.audit, await here.session.account(), 100)

    assert (duplicate.is_new, duplicate.tracking_id) == (False, first.tracking_id)
    assert refused == [setting] * 2
    assert len(service.keys) == 1
    assert sorted(entry["outcome"] for entry in trail) == [
        "placed",
        *(f"refused:{setting}" for _ in range(2)),
    ]


DENIED = CallPolicy(Settings(deny_numbers=(HERE,)))


async def test_a_refused_precheck_is_audited(place: str, clock: ManualClock) -> None:
    async with world(Service(clock), place, policy=DENIED) as here:
        with pytest.raises(PolicyError):
            await here.precheck()
        [entry] = await here.run(here.calls.audit_trail(100))

    assert entry["outcome"] == "refused:KALLYAI_DENY_NUMBERS"
    assert entry["number"] == HERE
    assert entry["tracking_id"] is None
    assert here.service.keys == []


async def test_a_refusal_is_logged_without_the_number(
    place: str, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "kallyai_mcp")
    async with world(Service(clock), place, policy=DENIED) as here:
        with pytest.raises(PolicyError) as raised:
            await here.precheck()
    told = caplog.text + repr(raised.value)

    assert "KALLYAI_DENY_NUMBERS" in caplog.text
    assert HERE not in told
    assert "5551234" not in told


@pytest.mark.parametrize("same_account", [True, False])
async def test_a_confirmation_is_good_for_one_call(ledger: Ledger, *, same_account: bool) -> None:
    consent = Consent("tests", "confirmation", last_calls=(None,), confirmation_id="once")
    account = ACCOUNT if same_account else AccountKey(ACCOUNT.api, "account-2")
    await reserved(ledger, another(1), consent)

    with pytest.raises(ConsentOutdatedError):
        await ledger.handle(
            account,
            Requested(Checked(another(2, THERE, account=account), redial=False), consent=consent),
        )


async def test_consent_must_name_the_numbers_last_call(ledger: Ledger, clock: ManualClock) -> None:
    first = await reserved(ledger, another(1), UNCALLED)
    clock.advance(1)

    with pytest.raises(ConsentOutdatedError):
        await ledger.handle(ACCOUNT, Requested(Checked(another(2), redial=False), consent=UNCALLED))
    await reserved(ledger, another(3, THERE), UNCALLED)
    await reserved(ledger, another(4), Consent("tests", "never_asks"))
    found = await ledger.ask(ACCOUNT, Checked(another(5), redial=False))
    assert found.last_call == clock.now() != first.asked_at
    await reserved(ledger, another(5), Consent("tests", "form", last_calls=(found.last_call,)))


async def test_consent_to_a_duplicate_allows_no_call(
    ledger: Ledger,
) -> None:
    consent = Consent("tests", "not_needed", joins=True)
    record = await reserved(ledger, asked(1))
    duplicate = await ledger.handle(
        ACCOUNT, Requested(Checked(asked(2), redial=False), consent=consent)
    )
    await ledger.handle(
        ACCOUNT, Over(replace(record, state=CallState.REFUSED, error=KallyAIError("no")))
    )

    with pytest.raises(ConsentOutdatedError):
        await ledger.handle(ACCOUNT, Requested(Checked(asked(3), redial=False), consent=consent))
    assert duplicate.tracking_id == "t-1"


async def test_the_audit_trail_says_who_asked_and_how(
    place: str, clock: ManualClock, ledger: Ledger
) -> None:
    await reserved(ledger, another(1), FORM)
    clock.advance(1)
    error = await refusal(
        place, clock, another(2, THERE), CallPolicy(Settings(deny_numbers=(THERE,)))
    )
    assert error is not None
    await ledger.write(
        ACCOUNT, rows.write_audit, another(2, THERE), NOT_LOOKED_AT, refused_by=error.setting
    )

    refused, placed = await ledger.read(rows.audit, ACCOUNT, 10)

    assert (placed["at"], placed["number"], placed["outcome"], placed["tracking_id"]) == (
        NOW,
        HERE,
        "placed",
        "t-1",
    )
    assert (placed["asked_by"], placed["how"], placed["risk_flags"]) == (
        "a-client 1.0",
        "form",
        list(FORM.risk_flags),
    )
    assert (refused["at"], refused["number"], refused["tracking_id"]) == (clock.now(), THERE, None)
    assert (refused["asked_by"], refused["how"], refused["risk_flags"]) == (None, None, [])
