"""The reference's "User Endpoints" and "QuotaExceededResponse": over HTTP, and the same facts from the tools."""

import re

import httpx2
import pytest

from kallyai_mcp.api.errors import QuotaExceededError
from kallyai_mcp.api.models import Submission
from tests.agent import Answer
from tests.reference.conftest import EXAMPLE, Service, example
from tests.reference.statements import fields, states

TIME = re.compile(r"\d{4}-\d\d-\d\dT00:00:00Z")


@pytest.fixture(scope="module")
def shown(service: Service) -> Answer:
    return service.use("check_quota")


@states("Get Subscription", "GET /v1/users/me/subscription")
def test_get_subscription_has_the_references_fields(service: Service) -> None:
    assert service.json("/v1/users/me/subscription").keys() == example("subscription").keys()


@fields(
    "Get Subscription",
    "has_active_subscription",
    "provider",
    "plan.type",
    "plan.period",
    "plan.minutes_included",
    "status",
    "expires_at",
    "auto_renew",
    "management_url",
)
def test_a_subscription_has_this_field(service: Service, case: str, shown: Answer) -> None:
    payloads = [service.json("/v1/users/me/subscription"), shown.data["subscription"], example("subscription")]
    for part in case.split("."):
        payloads = [payload[part] for payload in payloads]
    value, structure, told = payloads

    assert type(value) is type(told)
    assert structure == value or case == "management_url"  # each link is made anew
    assert case != "expires_at" or TIME.fullmatch(value)
    assert case != "management_url" or httpx2.get(structure).status_code == 200


@states("Get Statistics", "GET /v1/users/me/statistics")
def test_get_statistics_has_the_references_fields(service: Service) -> None:
    assert service.json("/v1/users/me/statistics").keys() == example("statistics").keys()


@fields(
    "Get Statistics",
    "plan_type",
    "minutes_allocated",
    "minutes_used",
    "minutes_remaining",
    "calls_allocated",
    "calls_used",
    "calls_remaining",
    "period_start",
    "period_end",
    "usage_percentage",
    "subscription_status",
)
def test_statistics_have_this_field(service: Service, case: str, shown: Answer) -> None:
    value, told = service.json("/v1/users/me/statistics")[case], example("statistics")[case]

    assert shown.data[case] == value
    assert isinstance(value, str) is isinstance(told, str)
    assert not case.startswith("period_") or TIME.fullmatch(value)


def test_the_figures_of_the_reference_are_those_of_an_account_of_the_sandbox(service: Service) -> None:
    told, statistics = example("statistics"), service.json("/v1/users/me/statistics", service.token("acct-personal"))

    assert statistics == told
    assert service.use("check_quota", token=service.token("acct-personal")).data.items() >= told.items()


@states("Get Billing Portal", "GET /v1/stripe/billing-portal")
def test_the_billing_portal_has_the_references_field(service: Service) -> None:
    assert service.json("/v1/stripe/billing-portal").keys() == example("billing_portal").keys()
    assert not service.use("get_billing_link").is_error


@fields("Get Billing Portal", "url")
def test_the_billing_portal_is_a_link_that_opens(service: Service, case: str) -> None:
    answer = service.use("get_billing_link")

    for url in (service.json("/v1/stripe/billing-portal")[case], answer.data[case]):
        assert httpx2.get(url).status_code == 200
    assert answer.data[case] in answer.text


@fields("QuotaExceededResponse", "plan_type", "minutes_allocated", "minutes_used", "upgrade_url")
def test_a_402_has_this_field(service: Service, case: str) -> None:
    token = service.token("acct-empty")
    response = service.post_call(token=token)
    with pytest.raises(QuotaExceededError) as caught:
        service.call(service.client(token).create_call, Submission.model_validate(EXAMPLE), timezone="UTC")
    answer = service.make_call(token=token)

    assert response.status_code == 402
    assert response.json()[case] == example("quota_exceeded")[case] == getattr(caught.value, case)
    assert "quota_exceeded" in answer.result.model_dump_json()
    assert "trial" in answer.text
