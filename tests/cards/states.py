"""The states of the cards, each as the arguments and the structure that a host gives to a card."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.agent import BISTRO

NOW = datetime(2026, 1, 25, 15, 30, tzinfo=UTC)
"""The browser's time."""


@dataclass(frozen=True)
class State:
    """What a card shows: `arguments` of its tool, `structure` of the result, None for none yet.

    Attributes:
        press: The number of the button that is then pressed, from 1.
        answers: What the tools answer that the card uses.
    """

    arguments: dict[str, Any]
    structure: dict[str, Any] | None = None
    is_error: bool = False
    is_quota: bool = False
    sandbox: bool = False
    press: int | None = None
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)


ADA: dict[str, Any] = BISTRO | {"user_name": "Ada", "accept_other_time": False, "party_size": 4}
ID = "5f6c2f6e-6d0b-4d0e-9a3c-1f2e3d4c5b6a"
CALLEE: dict[str, Any] = {"respondent_phone": "+14155551234", "business_name": "Italian Bistro"}
BOOKED: dict[str, Any] = CALLEE | {
    "status": "success",
    "outcome": "booked",
    "call_id": ID,
    "created_at": "2026-01-25T15:29:00Z",
    "duration_seconds": 58,
    "highlights": "Reserved a table for 4 at Italian Bistro on Wednesday, January 28 at 7:00 PM.",
    "next_steps": "Nothing more to do. To change or cancel it, call +1 415-555-1234.",
    "timezone": "America/New_York",
    "appointment": {
        "summary": "Table for 4 at Italian Bistro",
        "start": "2026-01-28T19:00:00-05:00",
        "end": "2026-01-28T21:00:00-05:00",
    },
}
ANSWERED: dict[str, Any] = CALLEE | {
    "status": "success",
    "outcome": "answered",
    "call_id": ID,
    "created_at": "2026-01-25T15:29:00Z",
    "duration_seconds": 41,
    "highlights": "Asked at Italian Bistro when they close today. They said: “We close at 10 PM.”",
    "next_steps": "For anything else, call +1 415-555-1234.",
}
QUESTIONS: dict[str, Any] = {"task_description": "Ask when they close today, and about parking"}
ASKED = ADA | QUESTIONS | {"appointment_date": None, "task_category": "general"}
AROUND: dict[str, Any] = {
    name: ADA[name] for name in ("task_category", "task_description", "party_size")
} | {
    "task_description": "Book a table by the window",
    "appointment_date": "2026-01-28",
    "appointment_time": "19:00",
    "user_name": "Ada",
    "until": "booked",
    "candidates": [
        {"respondent_phone": "+12025550103", "business_name": "First Bistro"},
        {"respondent_phone": "+12025550102", "business_name": "Second Bistro"},
        {"respondent_phone": "+12025550100", "business_name": "Third Bistro"},
    ],
}
FIRST: dict[str, Any] = AROUND["candidates"][0] | {
    "status": "busy",
    "outcome": "not_reached",
    "call_id": "c-1",
}
SECOND: dict[str, Any] = AROUND["candidates"][1] | {
    "status": "success",
    "outcome": "answered",
    "call_id": "c-2",
    "highlights": "Not available: a table for 4 on Wednesday, January 28 at 7:00 PM.",
}
LIST: dict[str, Any] = {
    "status": "needs_decision",
    "tracking_id": "t-1",
    "until": "booked",
    "calls": [FIRST, SECOND],
    "not_called": [AROUND["candidates"][2]],
}
ALLOWANCE: dict[str, Any] = {
    "plan_type": "personal",
    "period_start": "2026-01-01T00:00:00Z",
    "period_end": "2026-02-01T00:00:00Z",
    "minutes_allocated": 210,
    "minutes_remaining": 152.4,
    "calls_allocated": 35,
    "calls_remaining": 18,
    "subscription": {
        "status": "active",
        "expires_at": "2026-02-22T00:00:00Z",
        "auto_renew": True,
        "has_active_subscription": True,
        "plan": {"period": "monthly"},
    },
}


TALK: dict[str, Any] = {
    "call_id": ID,
    "entries": [
        {
            "speaker": "HUMAN",
            "content": "Hello, this is Italian Bistro.",
            "timestamp": "00:00:01",
        },
        {
            "speaker": "AI",
            "content": "Hello, I'm an AI assistant. When do you close?",
            "timestamp": "00:00:03",
        },
        {
            "speaker": "HUMAN",
            "content": "We close at 10 PM tonight.",
            "timestamp": "00:00:09",
        },
    ],
}


PROGRESS: dict[str, Any] = CALLEE | {
    "status": "in_progress",
    "tracking_id": "t-1",
    "elapsed_seconds": 32,
}
SCHEDULED: dict[str, Any] = CALLEE | {
    "status": "scheduled",
    "tracking_id": "t-1",
    "scheduled_for": "2026-01-26T10:00:00-05:00",
    "timezone": "America/New_York",
}
GOES_ON = {"status": "in_progress"}
REFUSED = {"status": "refused", "code": "suppression_violation", "placed": "no"}
LONG: dict[str, Any] = {
    "business_name": "Trattoria della Nonna Antonietta e dei suoi Diciassette Nipoti "
    "Straordinariamentericonoscenti",
    "user_name": "Maximiliane Wolfeschlegelsteinhausenbergerdorff-Montgomery",
    "task_description": "Book a table on the covered terrace, away from the kitchen, where a "
    "wheelchair fits and two high chairs can stand; one guest has a nut allergy, and somebody "
    "has to bring a cake in the afternoon: https://example.com/a/very/long/address/of/the/cake/"
    "that/has/no/space/and/no/end",
}
UNKNOWN = {"status": "unknown", "outcome": "unknown", "tracking_id": "t-2"}
_DAYS = [
    {"status": status, "created_at": f"2026-01-{day:02}T16:00Z"}
    for day in (24, 22, 20, 17, 13, 10, 9, 4)
    for status in ("answered", "busy", "booked")[: 1 + day % 3]
]


def _error(code: str, **structure: Any) -> dict[str, Any]:
    return {"status": "refused", "code": code, "placed": "no", "retryable": False, **structure}


_MAIN: dict[str, State] = {
    "loading": State({"call_id": ID}),
    "placing": State(ADA),
    "in_progress": State(
        ADA, {"status": "in_progress", "tracking_id": "t-1", "elapsed_seconds": 32} | CALLEE
    ),
    "answered": State(
        ASKED,
        ANSWERED
        | {
            "answers": [
                {
                    "question": "When do you close today?",
                    "quote": "We close at 10 PM.",
                    "at": "0:14",
                },
                {
                    "question": "Is there parking?",
                    "quote": "Yes, behind the building.",
                    "at": "0:25",
                },
                {"question": "Are dogs allowed?", "quote": None, "at": None},
            ]
        },
    ),
    "evidence": State(
        ADA | QUESTIONS,
        ANSWERED | {"evidence": {"quote": "We are fully booked that evening.", "at": "0:21"}},
    ),
    "booked": State(ADA, BOOKED),
    "booked_unconfirmed": State(
        ADA,
        BOOKED | {"appointment": BOOKED["appointment"] | {"unconfirmed": ["party_size"]}},
    ),
    "other_time": State(
        ADA,
        BOOKED
        | {
            "outcome": "booked_other_time",
            "appointment": BOOKED["appointment"] | {"start": "2026-01-28T20:30:00-05:00"},
        },
    ),
    "scheduled": State(
        ADA | {"not_before": "2026-01-26T10:00"},
        CALLEE
        | {
            "status": "scheduled",
            "tracking_id": "t-1",
            "scheduled_for": "2026-01-26T10:00:00-05:00",
            "timezone": "America/New_York",
        },
    ),
    "not_reached": State(
        ADA,
        CALLEE | {"status": "busy", "outcome": "not_reached", "call_id": ID, "retryable": True},
    ),
    "unknown": State(ADA, {"status": "unknown", "tracking_id": "t-1", "placed": "maybe"} | CALLEE),
    "consent": State(
        ADA
        | {
            "additional_instructions": ["By the window"],
            "questions": ["Is there parking?"],
            "user_phone": "+14155559876",
        },
        {
            "status": "needs_confirmation",
            "confirmation": "c",
            "reasons": ["local_hour"],
            "local_times": ["2026-01-25T07:30:00-08:00"],
            "minutes_remaining": 165,
        },
        sandbox=True,
    ),
    "consent_list": State(
        AROUND,
        {
            "status": "needs_confirmation",
            "until": "booked",
            "confirmation": "c",
            "reasons": ["few_minutes"],
            "minutes_remaining": 4,
        },
    ),
    "wrong_number": State(
        ADA | {"respondent_phone": "415 555 1234"},
        _error(
            "invalid_arguments",
            arguments=[
                {
                    "argument": "respondent_phone",
                    "problem": '"415 555 1234" has no country code; it may be +14155551234',
                    "kind": "no_country",
                    "suggestions": ["+14155551234"],
                }
            ],
        ),
        is_error=True,
    ),
    "emergency": State(
        ADA | {"respondent_phone": "911"}, _error("emergency_number", dial="911"), is_error=True
    ),
    "sign_in": State(ADA, _error("not_signed_in", link="https://kallyai.com/s"), is_error=True),
    "used_up": State(
        ADA,
        _error(
            "quota_exceeded",
            upgrade_url="https://kallyai.com/u",
            used_up={"unit": "calls", "allocated": 35, "renews": "2026-02-01T00:00:00Z"},
        ),
        is_error=True,
    ),
    "list_decision": State(AROUND, LIST),
    "list_in_progress": State(
        AROUND,
        LIST
        | {
            "status": "in_progress",
            "calls": [FIRST, AROUND["candidates"][1] | {"status": "in_progress"}],
        },
    ),
    "list_booked": State(
        AROUND,
        LIST
        | {
            "status": "booked",
            "calls": [FIRST, SECOND, BOOKED | AROUND["candidates"][2]],
            "not_called": [],
        },
    ),
    "transcript": State({"call_id": ID}, TALK, answers={"get_call": ANSWERED}),
    "transcript_alone": State({"call_id": ID}, TALK),
    "conversation": State(ADA, BOOKED, press=2, answers={"get_transcript": TALK}),
    "quota": State({}, ALLOWANCE, is_quota=True),
    "quota_used_up": State({}, ALLOWANCE | {"calls_remaining": 0}, is_quota=True, sandbox=True),
}

_MORE: dict[str, State] = {
    "booked_in_sandbox": State(ADA, BOOKED, sandbox=True),
    "placing_list": State(AROUND),
    "scheduling": State(ADA | {"not_before": "2026-01-26T10:00"}),
    "ringing": State(ADA, PROGRESS | {"live": {"line": "ringing", "said": []}}),
    "talking": State(ADA, PROGRESS | {"live": {"line": "talking", "said": TALK["entries"][-2:]}}),
    "hedged": State(
        ASKED,
        ANSWERED
        | {
            "answers": [
                {
                    "question": "Is there parking?",
                    "quote": "I think there should be some behind the house.",
                    "at": "0:09",
                    "hedged": True,
                }
            ]
        },
    ),
    "answered_once": State(
        ASKED,
        ANSWERED
        | {"answers": [{"question": "When do you close?", "quote": "At 10.", "at": "0:14"}]},
    ),
    "was_booked": State(ADA, BOOKED | {"moved_by": "c-9"}),
    "booking_canceled": State(ADA, BOOKED | {"canceled_by": "c-9"}),
    "wish_unconfirmed": State(
        ADA, BOOKED | {"appointment": BOOKED["appointment"] | {"unconfirmed": ["by the window"]}}
    ),
    "several_numbers": State(
        ADA | {"respondent_phone": "911 234 567"},
        _error(
            "invalid_arguments",
            arguments=[
                {
                    "argument": "respondent_phone",
                    "problem": "It has no country code",
                    "kind": "no_country",
                    "suggestions": ["+19112345678", "+34911234567"],
                }
            ],
        ),
        is_error=True,
    ),
    "long_booked": State(ADA | LONG, BOOKED | LONG),
    "long_progress": State(ADA | LONG, PROGRESS | LONG),
    "long_consent": State(
        ADA | LONG, {"status": "needs_confirmation", "confirmation": "c", "reasons": ["urgent"]}
    ),
    "long_list": State(
        AROUND | {"task_description": LONG["task_description"]},
        LIST | {"not_called": [AROUND["candidates"][2] | {"business_name": LONG["business_name"]}]},
    ),
    "calendar_unread": State(ADA, ANSWERED | {"calendar_checked": False}),
    "machine": State(
        ADA,
        CALLEE
        | {"status": "success", "outcome": "not_reached", "code": "machine", "call_id": ID}
        | {"evidence": {"quote": "For opening hours, press 1.", "at": "0:02"}},
    ),
    "failed": State(ADA, CALLEE | {"status": "failed", "outcome": "failed", "call_id": ID}),
    "canceled": State(ADA, CALLEE | {"status": "cancelled", "outcome": "canceled", "call_id": ID}),
    "expired": State(ADA, SCHEDULED | {"status": "expired"}),
    "scheduled_cancel": State(ADA, SCHEDULED, press=1),
    "scheduled_now": State(ADA, SCHEDULED, press=2),
    "call_again": State(
        ADA,
        CALLEE | {"status": "busy", "outcome": "not_reached", "call_id": ID, "retryable": True},
        press=1,
    ),
    "refused": State(ADA, _error("suppression_violation"), is_error=True),
    "unavailable": State({"call_id": ID}, _error("forbidden", status="error"), is_error=True),
    "lost": State(ADA, _error("answer_lost", status="unknown", placed="maybe"), is_error=True),
    "list_asking_all": State(
        AROUND | {"until": "all"},
        LIST
        | {"status": "in_progress", "until": "all"}
        | {"calls": [FIRST, *({**one, **GOES_ON} for one in AROUND["candidates"][1:])]}
        | {"not_called": []},
    ),
    "list_ending": State(
        AROUND, LIST | {"status": "canceled", "calls": [FIRST, AROUND["candidates"][1] | GOES_ON]}
    ),
    "list_answered": State(AROUND | {"until": "answered"}, LIST | {"status": "answered"}),
    "list_done": State(AROUND, LIST | {"status": "done", "not_called": []}),
    "list_unknown": State(
        AROUND,
        LIST | {"status": "unknown", "calls": [FIRST, AROUND["candidates"][1] | UNKNOWN]},
    ),
    "list_needs_sign_in": State(AROUND, LIST | {"status": "needs_sign_in", "calls": [FIRST]}),
    "list_refused": State(
        AROUND,
        LIST | {"status": "refused"} | {"calls": [FIRST, AROUND["candidates"][1] | REFUSED]},
    ),
    "list_canceled": State(AROUND, LIST | {"status": "canceled"}),
    "quota_chart": State({}, ALLOWANCE, is_quota=True, answers={"list_calls": {"calls": _DAYS}}),
    "quota_short": State({}, ALLOWANCE | {"calls_remaining": 2}, is_quota=True),
    "quota_credits": State(
        {}, ALLOWANCE | {"credits_allocated": 500, "credits_remaining": 120}, is_quota=True
    ),
    "quota_calls_by_credits": State(
        {},
        ALLOWANCE | {"calls_remaining": 0, "credits_allocated": 500, "credits_remaining": 120},
        is_quota=True,
    ),
    "quota_signed_out": State(
        {}, _error("unauthorized", status="error"), is_quota=True, is_error=True
    ),
    "quota_error": State({}, _error("forbidden", status="error"), is_quota=True, is_error=True),
}

STATES = {**_MAIN, **_MORE}
"""What has a picture, by the picture's name."""
