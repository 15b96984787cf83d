"""Which requests are for the same call, also by the wording of the versions before."""

import pytest

from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.fingerprint import fingerprint
from kallyai_mcp.calls.other_time import LISTED

STORED = {
    "en": "ec4a0a468725246f2473461a3a28eaec11d724fffb1060e7f75ae4aa3cef9438",
    "es": "2cba3a3e9b96b3d51640e8b98f650de7acf5d2ccf04039a821291cb882eb26ae",
}
"""The digests in records of the version that told KallyAI to agree to "one of these"."""


@pytest.mark.parametrize("language", STORED)
def test_other_times_are_found_in_older_records(language: str) -> None:
    asked = Submission(
        task_category="restaurant",
        task_description="Book a table",
        respondent_phone="+12025550142",
        appointment_date="2026-01-28",
        appointment_time="19:00",
        party_size=4,
        call_language=language,
        additional_instructions=("No smoking", f"{LISTED[language]}20:00, 20:30"),
    )

    assert fingerprint(asked) == STORED[language]
