"""The reference's "SubmissionPayload", with its types and limits."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Language = Literal["en", "es"]
LANGUAGES: Mapping[str, Language] = {"en": "en", "es": "es"}
"""The languages of calls and of the app, by their codes."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def is_text_of_form(form: re.Pattern[str], value: object) -> bool:
    """Whether a value is a text, and has this form."""
    return isinstance(value, str) and form.fullmatch(value) is not None


def _only_iso_date(value: Any) -> Any:
    """Refuse dates in other formats than YYYY-MM-DD: pydantic alone also accepts timestamps and
    datetimes.
    """
    if type(value) is date or is_text_of_form(_DATE, value):
        return value
    raise ValueError("must be a date in the format YYYY-MM-DD")


IsoDate = Annotated[date, BeforeValidator(_only_iso_date)]


class TaskCategory(StrEnum):
    """The kind of callee (`task_category`)."""

    RESTAURANT = "restaurant"
    CLINIC = "clinic"
    HOTEL = "hotel"
    GENERAL = "general"


class Submission(BaseModel):
    """The reference's "SubmissionPayload". Every optional field may be left out or null.

    Unknown fields are refused, so that a misspelled field is found before a real call. Rules with
    their own error code (no phone number, an unsupported language, an impossible time) are not
    checked here but in `validation`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    task_category: TaskCategory = Field(description="The kind of callee")
    task_description: str = Field(
        min_length=1, pattern=r"\S", description="What the AI should accomplish"
    )
    respondent_phone: str | None = Field(
        default=None,
        description="Phone to call, in E.164; a call without one is refused (missing_phone_number)",
    )
    business_name: str | None = Field(default=None, description="Name of business")
    user_name: str | None = Field(default=None, description="User's name for reservation")
    user_phone: str | None = Field(default=None, description="User's callback number")
    appointment_date: IsoDate | None = Field(default=None, description="YYYY-MM-DD")
    appointment_time: str | None = Field(
        default=None, description="HH:MM (24-hour)", examples=["19:00"]
    )
    time_preference_text: str | None = Field(
        default=None, description='Natural language: "morning", "after 5pm"'
    )
    party_size: int | None = Field(
        default=None, strict=True, ge=1, le=50, description="For restaurant reservations"
    )
    language: str | None = Field(
        default=None, description="App language: `en` or `es`", examples=["en"]
    )
    call_language: str | None = Field(
        default=None, description="Call language: `en` or `es`", examples=["en"]
    )
    is_urgent: bool | None = Field(default=None, strict=True, description="Prioritize the call")
    additional_instructions: list[str] | None = Field(
        default=None, description="Extra instructions for the AI"
    )

    @property
    def number(self) -> str:
        """The number that is called; empty without one, which `validation` has refused."""
        return self.respondent_phone or ""

    @property
    def written_language(self) -> Language:
        """The language of what the user reads; `validation` has refused those that we lack."""
        return LANGUAGES[self.language or "en"]

    @property
    def spoken_language(self) -> Language:
        """The language of the conversation, by default that of what the user reads."""
        return LANGUAGES[self.call_language or self.written_language]
