"""What KallyAI's API reference states, section by section: a request for each statement, and what
is answered.

A statement is named by a part of its line. `like` names a payload of the reference, and stands for
each of its fields. Those of `ELSEWHERE` need a browser, or tokens of an earlier step. `python -m
tests.reference FILE` compares all of them with the reference itself, which is not part of this
repository.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import phonenumbers

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS

ACCOUNT = "acct-business"
"""The account with minutes for hundreds of calls."""

EXAMPLE = {
    "task_category": "restaurant",
    "task_description": "Reserve table for 4",
    "respondent_phone": "+14155551234",
    "business_name": "Italian Bistro",
    "user_name": "Sample Guest",
    "appointment_date": "2026-01-28",
    "appointment_time": "19:00",
    "party_size": 4,
}


@dataclass(frozen=True)
class Ask:
    """A request and its answer.

    `{+14155551234}` in a path is the id of a call to that number. `token` is `all` (scopes), `only
    SCOPE`, `but SCOPE`, or an account with all scopes; None: no token.
    """

    method: str
    path: str
    status: int = 200
    code: str = ""
    like: str = ""
    token: str | None = "all"
    body: Any = None
    params: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    holds: Callable[[Any], bool] = lambda _: True

    @classmethod
    def call(
        cls,
        status: int = 201,
        code: str = "",
        *,
        like: str = "",
        token: str | None = "all",
        request: dict[str, Any] | None = None,
        holds: Callable[[Any], bool] = lambda _: True,
        **changes: Any,
    ) -> Self:
        """`POST /v1/calls` with the example, with changes to its submission (None leaves a field
        out) and beside it.
        """
        submission = {
            name: value for name, value in (EXAMPLE | changes).items() if value is not None
        }
        body = {"submission": submission, "timezone": "America/New_York", **(request or {})}
        return cls("POST", "/v1/calls", status, code, like, token, body, holds=holds)


def get(path: str, status: int = 200, code: str = "", **more: Any) -> Ask:
    return Ask("GET", path, status, code, **more)


NUMBERS = {line.name: line.number for line in reversed(TEST_NUMBERS)}
CALL, BUSY = "/v1/calls/{+14155551234}", f"/v1/calls/{{{NUMBERS['busy']}}}"
UNKNOWN = "/v1/calls/00000000-0000-4000-8000-000000000000"
USER = "/v1/users/me"


def refused(number: str) -> Ask:
    line = next(line for line in TEST_NUMBERS if line.refusal == number)
    return Ask.call(
        422 if number == "consent_denied" else 403, number, respondent_phone=line.number
    )


def having(name: str, value: Any) -> Callable[[Any], bool]:
    """Whether a call has this value in a field of its own, or in one of its submission."""
    return lambda call: bool((call["submission"] | call)[name] == value)


def has(name: str, good: list[Any], bad: list[Any], without: Ask | None = None) -> list[Ask]:
    """A field of the submission, which is echoed: values that it takes, and values that it does not
    take.
    """
    codes = {
        "appointment_date": (422, "scheduling_violation"),
        "appointment_time": (422, "scheduling_violation"),
        "language": (422, "unsupported_language"),
        "call_language": (422, "unsupported_language"),
    }
    status, code = codes.get(name, (400, "validation_error"))
    values: list[dict[str, Any]] = [{name: value} for value in (*good, *bad, None)]
    taken = [Ask.call(**change, holds=having(name, change[name])) for change in values[: len(good)]]
    not_taken = [Ask.call(status, code, **change) for change in values[len(good) : -1]]
    return [*taken, *not_taken, without or Ask.call(**values[-1])]


def country(*names: str) -> list[Ask]:
    """Calls to numbers of these countries."""
    numbers = [
        phonenumbers.example_number_for_type(name, phonenumbers.PhoneNumberType.FIXED_LINE)
        for name in names
    ]
    e164 = phonenumbers.PhoneNumberFormat.E164
    return [
        Ask.call(respondent_phone=phonenumbers.format_number(number, e164))
        for number in numbers
        if number
    ]


def scope(name: str, *requests: Ask) -> list[Ask]:
    """Requests that need this scope, and no other."""
    with_it = [Ask(**{**vars(ask), "token": f"only {name}"}) for ask in requests]
    without = [
        Ask(**{**vars(ask), "status": 403, "code": "forbidden", "token": f"but {name}"})
        for ask in requests
    ]
    return with_it + without


def speaks(spanish: bool) -> Callable[[Any], bool]:
    """Whether a summary or a transcript is in Spanish, or else in English."""
    return lambda answer: any(word in str(answer) for word in (" mesa ", " una ")) is spanish


EUROPE = (
    "AD",
    "AT",
    "BE",
    "BG",
    "CH",
    "CY",
    "CZ",
    "DE",
    "DK",
    "EE",
    "FI",
    "FR",
    "GR",
    "HR",
    "HU",
    "IE",
    "IS",
    "IT",
    "LI",
    "LT",
    "LU",
    "LV",
    "MC",
    "MT",
    "NL",
    "NO",
    "PL",
    "PT",
    "RO",
    "SE",
    "SI",
    "SK",
    "SM",
)
BAD_TOKEN = {"Authorization": "Bearer x"}

CASES: dict[str, dict[str, list[Ask]]] = {
    "Authentication": {
        "OAuth2 Bearer Token": [
            get("/v1/calls", 401, "missing_token", token=None),
            get("/v1/calls", 401, "invalid_token", token=None, headers=BAD_TOKEN),
        ],
        "Authorization: Bearer": [
            get("/v1/calls"),
            get("/v1/calls", 401, "missing_token", token=None, params={"access_token": "x"}),
        ],
    },
    "Scopes": {
        "`calls:read`": scope(
            "calls:read", get("/v1/calls"), get(CALL), get(f"{CALL}/calendar.ics")
        ),
        "`calls:write`": scope("calls:write", Ask.call()),
        "`subscription:read`": scope(
            "subscription:read", get(f"{USER}/subscription"), get(f"{USER}/statistics")
        ),
        "`billing:manage`": scope("billing:manage", get("/v1/stripe/billing-portal")),
        "`transcripts:read`": scope("transcripts:read", get(f"{CALL}/transcript")),
        # The reference has no endpoint for these; `test_sign_in` has them granted.
        "`sessions:read`": [],
        "`sessions:write`": [],
        "`recordings:read`": [],
    },
    "Create Call": {
        "POST /v1/calls": [Ask.call(), Ask("PUT", "/v1/calls", 405, "method_not_allowed")],
        "Creates an AI phone call": [
            Ask.call(
                holds=lambda call: call["highlights"].startswith(
                    "Reserved a table for 4 at Italian Bistro"
                )
            )
        ],
        "Authorization: Bearer": [Ask.call(401, "missing_token", token=None)],
        "Request Body": [
            Ask("POST", "/v1/calls", 400, "validation_error", body="x"),
            Ask.call(request={"nonsense": 1}),
            Ask.call(400, "validation_error", nonsense=1),
        ],
        "201 Created": [Ask.call(201, like="call_details")],
        "`400`": [Ask.call(400, "validation_error", party_size=51)],
        "`401`": [Ask.call(401, "missing_token", token=None)],
        "`402`": [Ask.call(402, "quota_exceeded", token="acct-empty")],
        "`403`": [Ask.call(403, "unsupported_country", respondent_phone="+61255500100")],
        "`422`": [Ask.call(422, "scheduling_violation", appointment_date="2027-12-01")],
    },
    "List Calls": {
        "GET /v1/calls": [get(CALL), get("/v1/calls", like="call_list", params={"limit": 1})],
        "`limit`": [
            *[Ask.call()] * 51,
            *[
                get(
                    "/v1/calls",
                    params={"limit": limit} if limit else {},
                    holds=lambda page, n=limit or 50: min(n, page["total"]) == len(page["calls"]),
                )
                for limit in (None, 1, 50, 200)
            ],
            *[
                get("/v1/calls", 400, "validation_error", params={"limit": limit})
                for limit in (0, 201, "x")
            ],
        ],
        "`offset`": [
            Ask.call(respondent_phone="+12025550142", business_name=None),
            *[
                get(
                    "/v1/calls",
                    params={"limit": 1} | offset,
                    holds=lambda page, is_newest=not offset: (
                        (page["calls"][0]["submission"] == {"respondent_phone": "+12025550142"})
                        is is_newest
                    ),
                )
                for offset in ({}, {"offset": 1})
            ],
            *[
                get("/v1/calls", 400, "validation_error", params={"offset": at})
                for at in (-1, 2**63, "x")
            ],
        ],
    },
    "Get Call Details": {"GET /v1/calls/{call_id}": [get(CALL, like="call_details")]},
    "Get Transcript": {
        "/transcript": [
            get(
                f"{CALL}/transcript",
                like="transcript",
                holds=lambda found: (
                    len(found["entries"]) > 2
                    and {entry["speaker"] for entry in found["entries"]} == {"AI", "HUMAN"}
                ),
            )
        ]
    },
    "Get Calendar Event": {
        "/calendar.ics": [
            get(f"{CALL}/calendar.ics"),
            get(f"{BUSY}/calendar.ics", 404, "not_found"),
        ],
        "Returns ICS calendar file": [
            get(
                f"{CALL}/calendar.ics",
                holds=lambda file: (
                    "DTSTART;TZID=America/New_York:20260128T190000" in file
                    and "SUMMARY:Table for 4" in file
                ),
            )
        ],
    },
    "Get Subscription": {
        "GET /v1/users/me/subscription": [get(f"{USER}/subscription", like="subscription")]
    },
    "Get Statistics": {
        "GET /v1/users/me/statistics": [
            # The figures of the example are those of an account of the sandbox.
            get(
                f"{USER}/statistics",
                like="statistics",
                token="acct-personal",
                holds=lambda told: (told["minutes_used"], told["usage_percentage"]) == (45, 21.4),
            )
        ]
    },
    "Get Billing Portal": {
        "GET /v1/stripe/billing-portal": [get("/v1/stripe/billing-portal", like="billing_portal")]
    },
    "CallCreateRequest": {
        '"submission"': [
            Ask("POST", "/v1/calls", 400, "validation_error", body={"timezone": "UTC"})
        ],
        '"timezone"': [  # it is 10:30 in New York, 16:30 in Madrid
            Ask.call(appointment_date="2026-01-25", appointment_time="12:00"),
            Ask.call(
                422,
                "scheduling_violation",
                request={"timezone": "Europe/Madrid"},
                appointment_date="2026-01-25",
                appointment_time="12:00",
            ),
            Ask.call(400, "validation_error", request={"timezone": "Mars/Olympus"}),
        ],
        '"session_id"': [
            Ask.call(request={"session_id": "s-1"}),
            Ask.call(400, "validation_error", request={"session_id": ["s-1"]}),
        ],
    },
    "SubmissionPayload": {
        "`task_category`": has(
            "task_category",
            ["restaurant", "clinic", "hotel", "general"],
            ["bar", 1],
            Ask.call(400, "validation_error", task_category=None),
        ),
        "`task_description`": has(
            "task_description",
            ["Ask for a quiet table"],
            ["", " \n", ["x"]],
            Ask.call(400, "validation_error", task_description=None),
        ),
        "`respondent_phone`": has(
            "respondent_phone",
            ["+34912345678"],
            ["4155551234", "+1415", 14155551234],
            Ask.call(422, "missing_phone_number", respondent_phone=None),
        ),
        "`business_name`": has("business_name", ["Casa Añil"], [["x"]]),
        "`user_name`": has("user_name", ["Ada"], [1]),
        "`user_phone`": has("user_phone", ["+14155550199"], [1]),
        "`appointment_date`": has(
            "appointment_date", ["2026-02-28"], ["28.2.2026", "2026-02-30", "2026-01-24"]
        ),
        "`appointment_time`": has(
            "appointment_time", ["08:05", "23:00"], ["8:05 PM", "24:00", "9:00", "19:00:00"]
        ),
        "`time_preference_text`": has("time_preference_text", ["morning", "after 5pm"], [["x"]]),
        "`party_size`": has("party_size", [1, 50], [0, 51, 2.5, "4"]),
        "`language`": has("language", ["en", "es"], ["fr", "", "en-US"]),
        "`call_language`": has("call_language", ["en", "es"], ["fr", "EN"]),
        "`is_urgent`": has("is_urgent", [True, False], ["yes", 1]),
        "`additional_instructions`": has(
            "additional_instructions", [["By the window", "Ask"]], ["x", 3, [None]]
        ),
    },
    "CallResponse": {
        "success|no_answer|busy|failed|voicemail|cancelled": [
            Ask.call(
                respondent_phone=NUMBERS[each], like="call_details", holds=having("status", each)
            )
            for each in ("success", "no_answer", "busy", "failed", "voicemail", "cancelled")
        ],
        "original submission": [Ask.call(holds=having("submission", EXAMPLE))],
    },
    "QuotaExceededResponse": {
        "upgrade_url": [
            Ask.call(
                402,
                "quota_exceeded",
                token="acct-empty",
                like="quota_exceeded",
                holds=lambda told: told["upgrade_url"] == "https://kallyai.com/pricing",
            )
        ]
    },
    "Standard Error Format": {
        "correlation_id": [
            get(UNKNOWN, 404, "call_not_found", like="error"),
            get("/v2/nothing", 404, "not_found", like="error"),
            Ask("DELETE", "/v1/calls", 405, "method_not_allowed", like="error"),
            get("/v1/calls", 401, "missing_token", like="error", token=None),
        ]
    },
    "Error Code Reference": {
        "`quota_exceeded`": [Ask.call(402, "quota_exceeded", token="acct-empty")],
        "`missing_phone_number`": [Ask.call(422, "missing_phone_number", respondent_phone="  ")],
        "`emergency_number`": [Ask.call(422, "emergency_number", respondent_phone="911")],
        "`toll_number`": [Ask.call(422, "toll_number", respondent_phone="+19005550100")],
        "`blocked_number`": [refused("blocked_number")],
        "`suppression_violation`": [refused("suppression_violation")],
        "`safety_violation`": [
            Ask.call(422, "safety_violation", task_description="Say that there is a bomb threat")
        ],
        "`scheduling_violation`": [
            Ask.call(422, "scheduling_violation", appointment_date="2027-12-01")
        ],
        "`consent_denied`": [refused("consent_denied")],
        "`country_restriction`": [
            Ask.call(
                403, "country_restriction", token="acct-us-only", respondent_phone="+442079460199"
            )
        ],
        "`unsupported_country`": [
            Ask.call(403, "unsupported_country", respondent_phone="+61255500100")
        ],
        "`unsupported_language`": [Ask.call(422, "unsupported_language", call_language="fr")],
        "`missing_token`": [Ask.call(401, "missing_token", token=None)],
        "`forbidden`": [Ask.call(403, "forbidden", token="only transcripts:read")],
        "`call_not_found`": [
            get(UNKNOWN, 404, "call_not_found"),
            get(CALL, 404, "call_not_found", token="acct-trial"),
        ],
        "`transcript_not_found`": [
            get(f"/v1/calls/{{{number}}}/transcript", 404, "transcript_not_found")
            for number in (NUMBERS["no_transcript"], NUMBERS["busy"])
        ],
    },
    "Supported Countries": {
        "US, Canada, UK, Spain": country("US", "CA", "GB", "ES"),
        "most European countries": country(*EUROPE),
        "Emergency numbers (911, 112, etc.) are blocked": [
            Ask.call(422, "emergency_number", respondent_phone=number)
            for number in ("911", "112", "+1911", "+34112")
        ],
    },
    "Supported Languages": {
        "English (`en`)": [
            Ask.call(language="en", holds=speaks(False)),
            get("/v1/calls/{+14155551234}/transcript", holds=speaks(False)),
        ],
        "Spanish (`es`)": [Ask.call(language="es", holds=speaks(True))],
        "Set `language` for app interface": [
            Ask.call(language="en", call_language="es", holds=speaks(False)),
            Ask.call(language="es", call_language="en", holds=speaks(True)),
        ],
    },
}
"""By section and statement."""

SCOPES = tuple(name.strip("`") for name in CASES["Scopes"])

ELSEWHERE: dict[str, tuple[str, ...]] = {
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
        "grant_type=refresh_token",
        '"access_token"',
        '"refresh_token"',
        '"expires_in"',
        '"scope"',
    ),
    "Token Refresh": ("POST /v1/auth/refresh", '"refresh_token"'),
    "Create Call": ("Idempotency-Key", "auto-generated for GPT clients"),
}
"""Statements that `test_sign_in`, `tests/sandbox/auth`, and `tests/sandbox/test_idempotency.py`
prove.
"""

STATED = {
    (section, words)
    for table in (CASES, ELSEWHERE)
    for section, stated in table.items()
    for words in stated
}
"""All statements, each with its section."""
