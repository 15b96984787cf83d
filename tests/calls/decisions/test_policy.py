"""The call policy by itself: which numbers may be called, and which calls have a risk flag."""

from datetime import UTC, datetime, timedelta

import pytest

from kallyai_mcp.api.models import Statistics, Submission
from kallyai_mcp.calls.policy import CallPolicy, RiskFlag
from kallyai_mcp.settings import Settings

NOON = datetime(2026, 1, 25, 12, 0, tzinfo=UTC)
MADRID = "+34911234567"
MOBILE_OF_SPAIN = "+34612345678"
TOLL_FREE = "+18005551234"
WITHOUT_PLACE = "+80012345678"


def flags(
    number: str = MADRID,
    now: datetime = NOON,
    *,
    last_call: datetime | None = None,
    minutes: float | None = 100,
    is_urgent: bool | None = None,
) -> tuple[RiskFlag, ...]:
    asked = Submission(
        task_category="general",
        task_description="Ask",
        respondent_phone=number,
        is_urgent=is_urgent,
    )
    usage = Statistics(minutes_remaining=minutes)
    return CallPolicy().risk_flags(asked, usage, now=now, last_call=last_call)


@pytest.mark.parametrize(
    ("policy", "setting"),
    [
        (CallPolicy(), None),
        (CallPolicy(Settings(allow_numbers=("+34",))), None),
        (CallPolicy(Settings(allow_numbers=("+1415", MADRID))), None),
        (CallPolicy(Settings(deny_numbers=("+1", "+349112345678"))), None),
        (CallPolicy(Settings(allow_numbers=("+1",))), "KALLYAI_ALLOW_NUMBERS"),
        (CallPolicy(Settings(deny_numbers=(MADRID,))), "KALLYAI_DENY_NUMBERS"),
        (
            CallPolicy(Settings(allow_numbers=(MADRID,), deny_numbers=("+3491",))),
            "KALLYAI_DENY_NUMBERS",
        ),
        (CallPolicy(Settings(allow_numbers=(MADRID,), stop_calls=True)), "KALLYAI_STOP_CALLS"),
    ],
)
def test_the_first_setting_that_forbids_a_number_refuses(
    policy: CallPolicy, setting: str | None
) -> None:
    error = policy.ban(MADRID)

    if setting is None:
        assert error is None
        return
    assert error is not None
    assert (error.setting, error.code, error.retry_after) == (setting, "call_policy", None)
    assert setting in str(error)
    assert "+34" not in str(error)


@pytest.mark.parametrize(
    ("number", "now", "is_flagged"),
    [
        (MADRID, "01-25T06:59:59", True),
        (MADRID, "01-25T07:00:00", False),
        (MADRID, "01-25T19:59:59", False),
        (MADRID, "01-25T20:00:00", True),
        (MADRID, "03-28T06:30:00", True),  # 7:30, the last day of winter time
        (MADRID, "03-29T06:30:00", False),  # 8:30
        ("+14155551234", "01-25T16:00:00", False),  # 8:00 in California
        ("+14155551234", "01-25T15:59:00", True),
        (MOBILE_OF_SPAIN, "01-25T07:30:00", True),  # 8:30 in Madrid, 7:30 on the Canaries
        (MOBILE_OF_SPAIN, "01-25T08:00:00", False),
        (MOBILE_OF_SPAIN, "01-25T20:30:00", True),  # 21:30 in Madrid, 20:30 on the Canaries
        (WITHOUT_PLACE, "01-25T02:00:00", False),
    ],
)
def test_an_early_or_late_hour_is_flagged(number: str, now: str, *, is_flagged: bool) -> None:
    at = datetime.fromisoformat(f"2026-{now}+00:00")
    assert (RiskFlag.LOCAL_HOUR in flags(number, at)) is is_flagged


def test_a_number_with_distant_zones_is_never_flagged() -> None:
    assert {flags(TOLL_FREE, NOON.replace(hour=hour)) for hour in range(24)} == {()}


def test_flags_have_one_order() -> None:
    recently, few = (RiskFlag.CALLED_RECENTLY,), (RiskFlag.FEW_MINUTES,)

    assert (
        flags(minutes=None) == flags(minutes=5) == flags(minutes=0) == flags(is_urgent=False) == ()
    )
    assert flags(last_call=NOON - timedelta(minutes=59)) == recently
    assert flags(last_call=NOON - timedelta(hours=1)) == ()
    assert flags(minutes=4.9) == few
    assert flags(last_call=NOON, minutes=1, is_urgent=True) == (*recently, *few, RiskFlag.URGENT)
