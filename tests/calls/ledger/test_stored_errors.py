"""An error in the ledger is stored by its code, and what an older version stored is read."""

import json

import pytest

from kallyai_mcp.api.errors import (
    KallyAIError,
    NotConnectedError,
    NotSignedInError,
    NumberRefusedError,
    PolicyError,
    QuotaExceededError,
    RateLimitedError,
    ResponseLostError,
    UnauthorizedError,
)
from kallyai_mcp.calls.errors import OptedOutError
from kallyai_mcp.calls.ledger.stored_errors import error_from_json, error_to_json

ERRORS = [
    KallyAIError("It was too late.", code="too_late"),
    NotConnectedError("KallyAI can't be reached"),
    NotSignedInError("Not signed in"),
    NotSignedInError("Sign in again", code="missing_token", status=401, reason="No header"),
    NumberRefusedError("On the list", code="suppression_violation", status=403, reason="DNC"),
    PolicyError("one call an hour", setting="KALLYAI_CALLS_PER_HOUR", retry_after=60),
    OptedOutError("They asked not to be called again"),
    QuotaExceededError(
        "used up", status=402, minutes_used=30, upgrade_url="https://kallyai.com/pricing"
    ),
    RateLimitedError("too many", status=429, retry_after=45),
    RateLimitedError("KallyAI got too many requests."),
    ResponseLostError("the connection broke"),
    UnauthorizedError("expired", code="token_expired", status=401),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_read_back_as_it_was(error: KallyAIError) -> None:
    read = error_from_json(error_to_json(error))

    assert type(read) is type(error)
    assert vars(read) == vars(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_of_an_older_version_is_read(error: KallyAIError) -> None:
    stored = json.dumps({"class": type(error).__name__, **vars(error)})

    read = error_from_json(stored)

    assert type(read) is type(error)
    assert vars(read) == vars(error)


def test_no_name_of_a_class_is_stored() -> None:
    stored = error_to_json(ERRORS[3])

    assert stored is not None
    assert "NumberRefused" not in stored
