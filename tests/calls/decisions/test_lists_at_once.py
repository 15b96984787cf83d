"""Lists that ask all candidates, several at a time: what each step makes, and what ends."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError, NumberRefusedError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.events import Cancel, CancelList, Due, Late, ListRequested, Over
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.settings import Settings
from tests.calls.dict_view import DictView
from tests.calls.ledgers import ACCOUNT, NOW, outcome, submission

NUMBERS = tuple(f"+1202555010{number}" for number in range(1, 7))
NO_MORE = KallyAIError("No minutes are left.", code="quota_exceeded", status=402)
NOT_THIS = NumberRefusedError("Not there.", code="country_restriction", status=422)
IDS = ("t-1", "t-2", "t-3")
CANCELED, REFUSED, SENT = CallState.CANCELED, CallState.REFUSED, CallState.SENT
RESERVED, SCHEDULED, ENDED = CallState.RESERVED, CallState.SCHEDULED, CallState.ENDED


def view_of(at_once: int = 3, policy: CallPolicy | None = None) -> DictView:
    timing = Timing(Settings(at_once=at_once))
    return DictView.of(NOW, timing=timing, policy=policy or CallPolicy())


def asking(count: int = 5, list_id: str = "t-list", task: str = "Ask") -> CallList:
    calls = tuple(
        submission(respondent_phone=one, task_description=task) for one in NUMBERS[:count]
    )
    return CallList(ACCOUNT, calls, "all", False, ("UTC",) * count, NOW, list_id=list_id)


def begun(view: DictView, wanted: CallList, ids: tuple[str, ...] = IDS) -> CallList:
    last_calls = tuple(None for _ in wanted.to_come)
    consent = Consent("test", "never_asks", last_calls=last_calls)
    found, _ = view.handle(ListRequested(wanted, consent, "worker", ids))
    assert isinstance(found, CallList)
    return found


def now(view: DictView, list_id: str = "t-list") -> CallList:
    found = view.call_list(list_id)
    assert found is not None
    return found


def states(view: DictView, list_id: str = "t-list") -> list[CallState]:
    return [one.state for one in now(view, list_id).records]


def called(view: DictView) -> list[str]:
    return [one.submission.respondent_phone for one in now(view).records]


def end(view: DictView, place: int, error: KallyAIError | None = None) -> None:
    """The call of the list at this place is sent, and reaches nobody, or is refused."""
    send(view, place)
    record = now(view).records[place]
    id_ = f"c-{record.tracking_id}"
    ended = replace(record, state=ENDED, call=outcome("busy", id_), call_id=id_, reached=False)
    if error is not None:
        ended = replace(record, state=REFUSED, error=error)
    view.handle(Over(ended))


def send(view: DictView, place: int) -> None:
    record = now(view).records[place]
    view.records[record.tracking_id] = replace(record, state=SENT)


@pytest.mark.parametrize("at_once", range(1, 6))
def test_a_list_begins_as_many_as_allowed(at_once: int) -> None:
    view = view_of(at_once)
    begun(view, asking(6), tuple(f"t-{number}" for number in range(at_once)))

    assert states(view) == [RESERVED] * at_once


@pytest.mark.parametrize("until", ["booked", "answered"])
def test_other_lists_call_one_at_a_time(until: str) -> None:
    view = view_of()
    begun(view, replace(asking(), until=until))  # type: ignore[arg-type]  # of a parameter

    assert states(view) == [RESERVED]


@pytest.mark.parametrize("place", range(3))
def test_each_end_makes_the_next_call(place: int) -> None:
    view = view_of()
    begun(view, asking())
    end(view, place)

    assert called(view) == [*NUMBERS[:4]]
    assert states(view)[3] is SCHEDULED
    assert states(view).count(RESERVED) == 2


def test_it_is_done_after_its_last_call() -> None:
    view = view_of()
    begun(view, asking(2))
    end(view, 1)
    after_one = now(view).stop_reason
    end(view, 0)

    assert after_one is None
    assert now(view).stop_reason is StopReason.DONE


ENDS: dict[str, tuple[KallyAIError, StopReason | None, int]] = {
    "no minutes are left": (NO_MORE, StopReason.REFUSED, 3),
    "signed out": (NotSignedInError("Nobody is signed in."), StopReason.NEEDS_SIGN_IN, 3),
    "one number is refused": (NOT_THIS, None, 4),
}


@pytest.mark.parametrize(("error", "reason", "count"), ENDS.values(), ids=ENDS)
def test_a_refusal_stops_further_calls(
    error: KallyAIError, reason: StopReason | None, count: int
) -> None:
    view = view_of()
    begun(view, asking())
    end(view, 1, error)

    assert now(view).stop_reason is reason
    assert len(now(view).records) == count
    assert states(view)[0] is RESERVED


def test_calls_in_progress_end_after_the_stop() -> None:
    view = view_of()
    begun(view, asking())
    end(view, 0, NO_MORE)
    end(view, 1)

    assert now(view).is_open
    assert states(view) == [REFUSED, ENDED, RESERVED]


def test_what_is_only_scheduled_is_taken_back() -> None:
    view = view_of()
    begun(view, asking())
    end(view, 0)
    end(view, 1, NO_MORE)

    assert called(view) == [*NUMBERS[:3]]
    assert [one.respondent_phone for one in now(view).not_called] == [*NUMBERS[3:5]]
    assert [one.state for one in view.records.values()].count(CANCELED) == 1


def test_a_stopped_list_calls_the_refused_again() -> None:
    view = view_of()
    begun(view, asking())
    end(view, 0, NO_MORE)
    end(view, 1)
    end(view, 2)
    found = now(view)
    again = [one.respondent_phone for one in found.to_come]
    begun(view, found, ("t-4", "t-5", "t-6"))

    assert again == [NUMBERS[0], *NUMBERS[3:5]]
    assert called(view) == [*NUMBERS[1:3], NUMBERS[0], *NUMBERS[3:5]]
    assert states(view) == [ENDED, ENDED, RESERVED, RESERVED, RESERVED]


def test_cancel_ends_every_call_not_sent() -> None:
    view = view_of()
    begun(view, asking())
    send(view, 0)
    end(view, 1)
    view.handle(CancelList("t-list"))

    assert states(view) == [SENT, ENDED, CANCELED, CANCELED]
    assert now(view).stop_reason is StopReason.CANCELED


def test_canceling_one_call_cancels_the_list() -> None:
    view = view_of()
    begun(view, asking())
    view.handle(Cancel("t-2"))

    assert states(view) == [CANCELED] * 3
    assert now(view).stop_reason is StopReason.CANCELED


def test_all_lists_of_an_account_share_the_number() -> None:
    view = view_of()
    begun(view, asking(2))
    begun(view, asking(5, "t-other", "Other"), ("t-4", "t-5", "t-6"))

    assert states(view) == [RESERVED, RESERVED]
    assert states(view, "t-other") == [RESERVED]


def test_a_list_waits_for_room() -> None:
    view = view_of()
    begun(view, asking(3))
    begun(view, asking(5, "t-other", "Other"), ("t-4", "t-5", "t-6"))
    waiting = states(view, "t-other")
    end(view, 2)
    after_one = states(view, "t-other")
    view.handle(CancelList("t-list"))

    assert (waiting, after_one) == ([], [SCHEDULED])
    assert states(view, "t-other") == [SCHEDULED] * 3


def test_a_list_is_of_when_it_was_agreed() -> None:
    evening = datetime(2026, 1, 26, 2, 10, tzinfo=UTC)  # 9:10 PM there: the night has begun
    view = DictView.of(evening, timing=Timing(Settings()), policy=CallPolicy())
    consent = Consent("test", "never_asks", last_calls=(None,) * 5)
    found, _ = view.handle(ListRequested(asking(), consent, "worker", IDS, agreed_ago=1_200))

    assert (found.stop_reason, found.records) == (StopReason.REFUSED, ())


def test_the_oldest_list_goes_on_first() -> None:
    view = view_of(1)
    begun(view, asking(2))
    for list_id, later in (("t-new", 2), ("t-old", 1)):
        view.now = NOW + timedelta(seconds=later)
        begun(view, asking(5, list_id, list_id))
    end(view, 0)
    end(view, 1)

    assert (states(view, "t-old"), states(view, "t-new")) == ([SCHEDULED], [])


def test_a_limit_stops_a_list_as_it_begins() -> None:
    view = view_of(policy=CallPolicy(Settings(calls_per_hour=2)))
    begun(view, asking())

    assert states(view) == [RESERVED, RESERVED, REFUSED]
    assert now(view).stop_reason is StopReason.REFUSED


def test_a_stopped_list_takes_due_calls_back() -> None:
    view = view_of()
    begun(view, asking())
    end(view, 0)
    stopped = replace(now(view), stop_reason=StopReason.REFUSED, ended_at=NOW)
    view.lists["t-list"] = replace(stopped, records=())
    taken = view.handle(Due("worker", {"t-list"}))

    assert taken == ()
    assert called(view) == [*NUMBERS[:3]]


def test_a_call_that_expires_stops_the_list() -> None:
    view = view_of()
    begun(view, asking())
    send(view, 1)
    end(view, 0)
    due = now(view).due[0]
    view.now = NOW + timedelta(hours=3)
    view.handle(Late({due.tracking_id}))

    assert now(view).stop_reason is StopReason.REFUSED
    assert now(view).is_open


def test_never_the_same_candidate_twice() -> None:
    view = view_of()
    begun(view, asking(6))
    for place in (2, 0, 1, 4, 3, 5):
        end(view, place)

    assert called(view) == [*NUMBERS]
    assert len(view.records) == 6


def test_the_request_sends_what_it_began() -> None:
    found = begun(view_of(), asking())

    assert [one.tracking_id for one in found.records] == [*IDS]
