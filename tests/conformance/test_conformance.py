"""A failure, and a pass, that was not expected is one of the run."""

from tests.conformance.suite import verdict


def test_an_unexpected_failure_or_pass_is_wrong() -> None:
    for status, check, text in (
        ("FAILURE", "ping", "0 passed, 1 failed as expected"),
        (
            "FAILURE",
            "another",
            "FAILED another: the suite's message; OUTDATED: ping was expected to fail",
        ),
        ("SUCCESS", "ping", "OUTDATED: ping was expected to fail"),
    ):
        result = {"id": check, "status": status, "errorMessage": "the suite's message"}
        assert verdict([result], ["ping"]) == (text, text.startswith("0 passed"))
