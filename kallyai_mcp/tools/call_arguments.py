"""The arguments of a call, each once: make_call takes them, and the command `call` makes them of
its options.

The models of call_around are derived from these: a mark in the annotation says which calls of a
list an argument is for.
"""

from enum import Enum
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from kallyai_mcp.settings import WAIT_SECONDS
from kallyai_mcp.tools.argument_types import (
    AppointmentDate,
    BookingChange,
    CallId,
    NotBefore,
    NumberToCall,
    PartySize,
    PhoneNumber,
    QuestionTexts,
    Retries,
    SpokenLanguage,
    TaskDescription,
    Text,
    Texts,
    Time,
    TimeZoneName,
    WaitSeconds,
)


class InList(Enum):
    """Which calls of a list an argument is for."""

    ONE_CALL = "one call: each candidate has its own"
    ALL_CALLS = "all calls of the list"
    NO_CALL = "no call of a list: only make_call has it"


_Value = TypeVar("_Value")

OfOneCall = Annotated[_Value, InList.ONE_CALL]
OfAllCalls = Annotated[_Value, InList.ALL_CALLS]
OfNoList = Annotated[_Value, InList.NO_CALL]


def _number_may_be_known(schema: dict[str, Any]) -> None:
    """A call about a booking is to the number of the earlier call, unless it names one."""
    schema["required"].remove("respondent_phone")


class CallArguments(BaseModel, defer_build=True, json_schema_extra=_number_may_be_known):
    """The arguments of make_call.

    `respondent_phone` comes before the days, whose validation looks at the clock there.
    """

    task_category: OfAllCalls[Literal["restaurant", "clinic", "hotel", "general"]] = Field(
        description="Kind of callee"
    )
    task_description: OfAllCalls[TaskDescription]
    respondent_phone: OfOneCall[NumberToCall] = Field(description="E.164: +14155551234")
    business_name: OfOneCall[Text | None] = Field(None, description="Who is called")
    user_name: OfAllCalls[Text | None] = Field(None, description="For the booking")
    user_phone: OfAllCalls[PhoneNumber | None] = Field(None, description="To call back, E.164")
    appointment_date: OfAllCalls[AppointmentDate | None] = Field(
        None, description="YYYY-MM-DD; only to make or move a booking"
    )
    appointment_time: OfAllCalls[Time | None] = Field(
        None, description="HH:MM, 24-hour, at the callee"
    )
    other_times: OfAllCalls[Text | None] = Field(
        None, description='Also fine: "10:00-12:00, 15:00"'
    )
    departure_date: OfAllCalls[AppointmentDate | None] = Field(
        None, description="Hotel, YYYY-MM-DD"
    )
    time_preference_text: OfAllCalls[Text | None] = Field(None, description='In words: "after 5pm"')
    party_size: OfAllCalls[PartySize | None] = Field(
        None, description="People; needed to book a restaurant or hotel"
    )
    language: OfAllCalls[SpokenLanguage | None] = Field(
        None, description="Of the summary and the user's forms"
    )
    call_language: OfAllCalls[SpokenLanguage | None] = Field(None, description="Spoken in the call")
    is_urgent: OfAllCalls[bool | None] = Field(
        None, description="To be called with priority; the user is asked first"
    )
    additional_instructions: OfAllCalls[Texts | None] = Field(None, description="Wishes and limits")
    questions: OfAllCalls[QuestionTexts | None] = Field(
        None, description="Up to 10; each answer is quoted"
    )
    accept_other_time: OfAllCalls[bool] = Field(
        False, description="May agree to another day or time"
    )
    timezone: OfAllCalls[TimeZoneName | None] = Field(
        None,
        description=("The user's, IANA; results tell times there. Not that of the appointment"),
    )
    changes_call_id: OfNoList[CallId | None] = Field(
        None, description="call_id of the booking it is about; needs change"
    )
    change: OfNoList[BookingChange | None] = Field(
        None, description="move: new day or time; ask: anything else"
    )
    session_id: OfNoList[Text | None] = Field(
        None, description="An id of yours; only passed on to KallyAI"
    )
    wait_seconds: OfAllCalls[WaitSeconds | None] = Field(
        None, json_schema_extra={"default": WAIT_SECONDS}
    )
    not_before: OfNoList[NotBefore | None] = Field(
        None,
        description="To call later: ISO 8601; without offset: in `timezone`, else the callee's",
    )
    retries: OfNoList[Retries] = Field(
        0,
        description=(
            "More attempts, if busy or no answer; none after voicemail, as a message may be left"
        ),
    )
    redial: OfNoList[bool] = Field(
        False, description="A second call on purpose, if the user wants it"
    )
    confirmation: OfAllCalls[Text | None] = Field(
        None, description="From a result that says to ask the user, after their yes"
    )


def marked(mark: InList) -> dict[str, Any]:
    """The arguments with a mark, as `create_model` takes the fields of a model."""
    fields = CallArguments.model_fields.items()
    return {name: (field.annotation, field) for name, field in fields if mark in field.metadata}
