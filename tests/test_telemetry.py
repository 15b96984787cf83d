"""What an operator's OpenTelemetry records."""

import subprocess
import sys

import pytest

from tests.recorded import recorded

pytestmark = pytest.mark.programs

REQUESTS = "http.client.request.duration"
TRANSACTIONS = "kallyai.ledger.transaction.duration"

WITHOUT = """
import sys
from kallyai_mcp import telemetry
telemetry.count("kallyai.calls.ended", {"kallyai.call.outcome": "success"})
with telemetry.observed_request("http://localhost/", {}), telemetry.observed_transaction("a", "b"):
    pass
print(*(name for name in sys.modules if name.startswith("opentelemetry")))
"""


def test_nothing_of_it_is_imported_without_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=60, check=True
    )

    assert done.stdout == "\n"


def test_text_from_outside_is_not_counted() -> None:
    counted = recorded("counts").values("kallyai.calls.ended", "kallyai.call.outcome")

    assert counted == {"success": 1, "other": 1}


def test_each_attempt_of_a_request_is_measured() -> None:
    found = recorded("requests")
    seen = [
        (
            attributes["http.request.method"],
            attributes["url.template"],
            attributes["http.response.status_code"],
            attributes.get("error.type"),
        )
        for attributes, _ in found.points(REQUESTS)
    ]

    assert sorted(seen, key=str) == [
        ("GET", "/v1/calls/{call_id}/transcript", 403, "403"),
        ("GET", "/v1/users/me/statistics", 200, None),
        ("GET", "/v1/users/me/statistics", 503, "503"),
        ("POST", "/v1/calls", 201, None),
    ]
    assert {attributes["server.address"] for attributes, _ in found.points(REQUESTS)} == {
        "127.0.0.1"
    }
    assert found.units[REQUESTS] == "s"


def test_each_attempt_of_a_request_has_a_span() -> None:
    spans = recorded("requests").spans
    again = spans[1]["attributes"]

    assert [(span["name"], span["kind"], span["status"]) for span in spans] == [
        ("GET /v1/users/me/statistics", "CLIENT", "ERROR"),
        ("GET /v1/users/me/statistics", "CLIENT", "UNSET"),
        ("POST /v1/calls", "CLIENT", "UNSET"),
        ("GET /v1/calls/{call_id}/transcript", "CLIENT", "ERROR"),
    ]
    assert again["http.request.resend_count"] == 1
    assert again["url.full"].endswith("/v1/users/me/statistics")
    assert not any(span["events"] for span in spans)  # no exception, whose text is private


def test_a_request_without_response_has_its_error() -> None:
    found = recorded("a_request_without_connection")
    ((attributes, number),) = found.points(REQUESTS)
    (span,) = found.spans

    assert (attributes["error.type"], number) == ("connection_failed", 1)
    assert "http.response.status_code" not in attributes
    assert (span["status"], span["attributes"]["error.type"]) == ("ERROR", "connection_failed")


def test_each_transaction_is_measured() -> None:
    found = recorded("transactions")
    by_error = {
        (attributes["db.operation.name"], attributes.get("error.type"))
        for attributes, _ in found.points(TRANSACTIONS)
    }

    assert by_error >= {
        ("Requested", None),
        ("Leave", None),
        ("Found", None),
        ("Requested", "ledger_unavailable"),
    }
    assert {attributes["db.system.name"] for attributes, _ in found.points(TRANSACTIONS)} == {
        "sqlite"
    }
    assert found.units[TRANSACTIONS] == "s"


def test_a_span_has_the_correlation_id() -> None:
    found = recorded("a_correlated_request")
    (span,) = found.spans

    assert len(found.returned) == 12
    assert span["attributes"]["kallyai.correlation_id"] == found.returned


def test_each_end_of_a_call_is_counted() -> None:
    found = recorded("endings")

    assert found.values("kallyai.calls.ended", "kallyai.call.outcome") == {
        "success": 1,
        "busy": 1,
        "unknown": 1,
    }
    assert found.values("kallyai.calls.refused", "error.type") == {"blocked_number": 1}
    assert found.units["kallyai.calls.ended"] == "{call}"


def test_a_call_that_expires_is_counted() -> None:
    assert recorded("an_expiry").points("kallyai.calls.expired") == [({}, 1)]


def test_trouble_with_the_ledger_is_counted() -> None:
    found = recorded("an_outage")

    assert found.points("kallyai.ledger.writes.unconfirmed") == [({}, 1)]
    assert found.points("kallyai.leases.lost") == [({}, 1)]


def test_refused_requests_of_clients_are_counted() -> None:
    found = recorded("refused_requests")

    assert found.points("kallyai.server.requests.refused") == [
        ({"http.response.status_code": 401}, 1),
        ({"http.response.status_code": 429}, 1),
    ]


def test_counters_of_trouble_begin_with_zero() -> None:
    found = recorded("a_call_in_progress").returned["up"]
    begun = {name: points for name, points in found.items() if all(not n for _, n in points)}

    assert begun == {
        "kallyai.calls.expired": [[{}, 0]],
        "kallyai.ledger.writes.unconfirmed": [[{}, 0]],
        "kallyai.leases.lost": [[{}, 0]],
        "kallyai.server.requests.refused": [
            [{"http.response.status_code": 401}, 0],
            [{"http.response.status_code": 429}, 0],
        ],
    }


def test_calls_are_counted_by_state() -> None:
    seen = recorded("a_call_in_progress").returned
    gauge = "kallyai.ledger.calls"

    assert {
        attributes["kallyai.call.state"]: number for attributes, number in seen["up"][gauge]
    } == {
        "in_progress": 1,
        "due": 0,
        "late": 0,
        "unknown": 0,
    }
    assert seen["reads"] == 4  # in a minute
    assert seen["down"].get(gauge, []) == []  # what nobody knows is not measured
