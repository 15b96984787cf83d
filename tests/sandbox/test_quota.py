"""Minutes and calls are counted, run out, and renew: the reference's "User Endpoints" and its
402.
"""

from datetime import UTC, datetime

import anyio
import httpx2
import pytest

from tests.sandbox.conftest import PlaceCall, SignIn
from tests.sandbox.manual_clock import ManualClock


async def test_statistics_follow_from_the_calls_that_were_made(
    client: httpx2.AsyncClient, sign_in: SignIn, place_call: PlaceCall
) -> None:
    durations = [(await place_call()).json()["duration_seconds"] for _ in range(3)]
    statistics = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()
    # Each call rounded up to a tenth of a minute.
    tenths = sum(-int(-seconds * 10 // 60) for seconds in durations)
    assert statistics["minutes_used"] == pytest.approx(45 + tenths / 10)
    assert statistics["minutes_remaining"] == pytest.approx(165 - tenths / 10)
    assert (statistics["calls_used"], statistics["calls_remaining"]) == (11, 24)
    assert statistics["usage_percentage"] == pytest.approx(
        100 * statistics["minutes_used"] / 210, abs=0.05
    )


async def test_the_last_call_may_exceed_the_minutes(
    client: httpx2.AsyncClient, clock: ManualClock, place_call: PlaceCall, sign_in: SignIn
) -> None:
    calls = 0
    with anyio.fail_after(60):
        while (answer := await place_call(respondent_phone="+12025550111")).status_code == 201:
            calls += 1
    statistics = (await client.get("/v1/users/me/statistics", headers=sign_in())).json()

    assert answer.status_code == 402
    assert clock.now() < datetime(2026, 2, 1, tzinfo=UTC)
    assert calls < 27, "the calls ran out first, so this shows nothing about minutes"
    assert statistics["minutes_remaining"] == 0
    assert min(statistics["minutes_used"] / 210, statistics["usage_percentage"] / 100) >= 1


async def test_a_plan_and_its_subscription_renew_separately(
    client: httpx2.AsyncClient, clock: ManualClock, place_call: PlaceCall, sign_in: SignIn
) -> None:
    await place_call("acct-personal")
    await place_call("acct-business")
    for account, moment, start, end, expires in (
        ("acct-personal", "2026-02-01T00:00", "2026-02-01", "2026-03-01", "2026-02-22"),
        ("acct-personal", "2026-02-22T00:00", "2026-02-01", "2026-03-01", "2026-03-22"),
        ("acct-personal", "2026-12-31T23:00", "2026-12-01", "2027-01-01", "2027-01-22"),
        ("acct-business", "2026-12-31T23:00", "2026-01-01", "2027-01-01", "2027-01-22"),
    ):
        clock.set(datetime.fromisoformat(moment).replace(tzinfo=UTC))
        headers = sign_in(account)
        statistics = (await client.get("/v1/users/me/statistics", headers=headers)).json()
        assert (statistics["period_start"], statistics["period_end"]) == (
            f"{start}T00:00:00Z",
            f"{end}T00:00:00Z",
        )
        assert statistics["calls_used"] == (8 if account == "acct-personal" else 1)
        subscription = (await client.get("/v1/users/me/subscription", headers=headers)).json()
        assert subscription["expires_at"] == f"{expires}T00:00:00Z"
