"""What the reference states, section by section, and which tests cover it.

`STATEMENTS` names each sentence, table row, field, and example by a few of its words.
`python -m tests.reference FILE` compares it with the reference itself, which is not part of this repository.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pytest

STATEMENTS: dict[str, tuple[str, ...]] = {
    "Authentication": ("OAuth2 Bearer Token", "Authorization: Bearer"),
    "Authentication Methods": (
        "Google or Apple account",
        "OAuth2 Authorization Code",
        "Google Sign-In",
        "Apple Sign-In",
    ),
    "CLI Authentication": (
        "use the simplified CLI auth flow",
        "GET /v1/auth/cli",
        "`redirect_uri`",
        "`state`",
        "User sees Google/Apple sign-in page",
        "access_token=TOKEN",
        "Only localhost/127.0.0.1",
    ),
    "OAuth2 Authorization Code Flow": (
        "GET /v1/auth/authorize",
        "`response_type`",
        "`client_id`",
        "`redirect_uri`",
        "`state`",
        "`scope`",
        "User sees Google sign-in page",
        "POST /v1/auth/gpt/token",
        "grant_type=authorization_code",
        '"access_token"',
        '"refresh_token"',
        '"expires_in"',
        '"scope"',
        "grant_type=refresh_token",
    ),
    "Token Refresh": ("POST /v1/auth/refresh", '"refresh_token"'),
    "Scopes": (
        "`calls:read`",
        "`calls:write`",
        "`sessions:read`",
        "`sessions:write`",
        "`subscription:read`",
        "`billing:manage`",
        "`transcripts:read`",
        "`recordings:read`",
    ),
    "Create Call": (
        "POST /v1/calls",
        "Creates an AI phone call",
        "Authorization: Bearer",
        "Idempotency-Key",
        "auto-generated for GPT clients",
        "Request Body",
        "201 Created",
        "`400`",
        "`401`",
        "`402`",
        "`403`",
        "`422`",
    ),
    "List Calls": (
        "GET /v1/calls",
        "`limit`",
        "`offset`",
        '"calls"',
        '"call_id"',
        '"status"',
        '"created_at"',
        '"respondent_phone"',
        '"business_name"',
        '"total"',
    ),
    "Get Call Details": (
        "GET /v1/calls/{call_id}",
        '"call_id"',
        '"status"',
        '"highlights"',
        '"next_steps"',
        '"duration_seconds"',
        '"created_at"',
        '"respondent_phone"',
        '"business_name"',
        '"task_description"',
    ),
    "Get Transcript": ("/transcript", '"entries"', '"speaker"', '"content"', '"timestamp"'),
    "Get Calendar Event": ("/calendar.ics", "Returns ICS calendar file"),
    "Get Subscription": (
        "GET /v1/users/me/subscription",
        '"has_active_subscription"',
        '"provider"',
        '"type"',
        '"period"',
        '"minutes_included"',
        '"status"',
        '"expires_at"',
        '"auto_renew"',
        '"management_url"',
    ),
    "Get Statistics": (
        "GET /v1/users/me/statistics",
        '"plan_type"',
        '"minutes_allocated"',
        '"minutes_used"',
        '"minutes_remaining"',
        '"calls_allocated"',
        '"calls_used"',
        '"calls_remaining"',
        '"period_start"',
        '"period_end"',
        '"usage_percentage"',
        '"subscription_status"',
    ),
    "Get Billing Portal": ("GET /v1/stripe/billing-portal", '"url"'),
    "CallCreateRequest": ('"submission"', '"timezone"', '"session_id"'),
    "SubmissionPayload": (
        "`task_category`",
        "`task_description`",
        "`respondent_phone`",
        "`business_name`",
        "`user_name`",
        "`user_phone`",
        "`appointment_date`",
        "`appointment_time`",
        "`time_preference_text`",
        "`party_size`",
        "`language`",
        "`call_language`",
        "`is_urgent`",
        "`additional_instructions`",
    ),
    "CallResponse": (
        '"call_id"',
        "success",
        "no_answer",
        "busy",
        "failed",
        "voicemail",
        "cancelled",
        '"highlights"',
        '"next_steps"',
        '"duration_seconds"',
        '"created_at"',
        '"submission"',
    ),
    "QuotaExceededResponse": ('"plan_type"', '"minutes_allocated"', '"minutes_used"', '"upgrade_url"'),
    "Standard Error Format": ('"code"', '"message"', '"reason"', '"correlation_id"'),
    "Error Code Reference": (
        "`quota_exceeded`",
        "`missing_phone_number`",
        "`emergency_number`",
        "`toll_number`",
        "`blocked_number`",
        "`suppression_violation`",
        "`safety_violation`",
        "`scheduling_violation`",
        "`consent_denied`",
        "`country_restriction`",
        "`unsupported_country`",
        "`unsupported_language`",
        "`missing_token`",
        "`forbidden`",
        "`call_not_found`",
        "`transcript_not_found`",
    ),
    "Supported Countries": (
        "US",
        "Canada",
        "UK",
        "Spain",
        "most European countries",
        "Emergency numbers (911, 112, etc.) are blocked",
    ),
    "Supported Languages": ("English (`en`)", "Spanish (`es`)", "Set `language` for app interface"),
}
"""By section; a statement is a part of one line of it."""

_covered: set[tuple[str, str]] = set()
_Test = TypeVar("_Test", bound=Callable[..., Any])


def not_covered() -> list[tuple[str, str]]:
    """The statements that no imported test covers."""
    return [
        (section, words) for section, all_words in STATEMENTS.items() for words in all_words
        if (section, words) not in _covered
    ]  # fmt: skip


def states(section: str, statement: str) -> Callable[[_Test], _Test]:
    """Decorator: the test covers this statement of a section."""
    _cover(section, (statement,))
    return lambda test: test


def each(section: str, cases: Mapping[str, Any]) -> pytest.MarkDecorator:
    """Parametrizes a test: it covers each of these statements of a section with its `case`, and is named after it."""
    _cover(section, cases)
    return pytest.mark.parametrize("case", cases.values(), ids=[f"{section}: {words}" for words in cases])


def fields(section: str, *names: str) -> pytest.MarkDecorator:
    """As `each`, for fields of JSON, which are their own cases; `plan.type` is the field `type` in `plan`."""
    return each(section, {f'"{name.rpartition(".")[2]}"': name for name in names})


def _cover(section: str, statements: Mapping[str, Any] | tuple[str, ...]) -> None:
    for statement in statements:
        assert statement in STATEMENTS[section], f"{section} has no statement {statement}"
        _covered.add((section, statement))
