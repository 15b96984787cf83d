"""What happens on a line: the schema of scenario files, of `/_sandbox/line/{number}`, and of the
pytest plug-in.
"""

import re
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import PydanticCustomError

from kallyai_mcp.sandbox.simulator.submission import IsoDate, is_text_of_form

Does = Literal[
    "agrees",
    "offers_another_time",
    "declines",
    "needs_no_booking",
    "answers",
    "is_busy",
    "does_not_answer",
    "goes_to_voicemail",
    "drops_the_line",
    "is_canceled",
    "is_terminated",
    "is_played",
]
"""What the callee does.

A value that is not a conversation, such as `is_busy`, sets the status of the call. `is_played`: a
person or a program plays the callee, see `play`; until somebody picks up, nobody answers.
"""

RefusalCode = Literal[
    "quota_exceeded",
    "missing_phone_number",
    "emergency_number",
    "toll_number",
    "blocked_number",
    "suppression_violation",
    "safety_violation",
    "scheduling_violation",
    "consent_denied",
    "country_restriction",
    "unsupported_country",
    "unsupported_language",
    "missing_token",
    "forbidden",
    "phone_not_provisioned",
    "rate_limited",
]
"""The codes with which a call can be refused: those of the reference's "Error Code Reference", and
two more.
"""

TurnKind = Literal[
    "greets",
    "speaks",
    "holds",
    "asks",
    "orders",
    "offers",
    "agrees",
    "declines",
    "needs_no_booking",
    "answers",
    "says_goodbye",
    "hangs_up",
]
"""The kind of a turn of the callee; it decides the assistant's reply."""

Detail = Literal["name", "phone", "party", "time", "notes"]
"""What a callee asks for: the user's name, a number to call back, how many people, the time, or
anything to note.
"""

_KEYS_OF_PLAYED = {"does", "seconds", "refusal", "loses_the_answer"}
"""What a line can have on which somebody plays the callee."""

HH_MM = re.compile(r"(?:[01][0-9]|2[0-3]):[0-5][0-9]")
E164 = r"^\+[1-9][0-9]{4,14}$"
"""The pattern of a number with a country code."""


def _time_of_day(value: Any) -> Any:
    """Refuse times in other formats than HH:MM: pydantic alone also accepts numbers."""
    if isinstance(value, time) or is_text_of_form(HH_MM, value):
        return value
    raise ValueError("must be a time in the format HH:MM (24-hour)")


TimeOfDay = Annotated[
    time,
    BeforeValidator(_time_of_day),
    PlainSerializer(lambda at: f"{at:%H:%M}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{HH_MM.pattern}$", "examples": ["20:30"]}),
]


def _check_number(value: str) -> str:
    if not re.fullmatch(E164, value):
        raise PydanticCustomError("number", "must be a number in E.164, such as +12025550142")
    return value


PhoneNumber = Annotated[
    str,
    AfterValidator(_check_number),
    WithJsonSchema(
        {"type": "string", "pattern": E164, "description": "In E.164, such as +12025550142"}
    ),
]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BilingualText(_Strict):
    """A text in both languages of calls. If a single text is given, it is used for both."""

    en: str = Field(min_length=1, description="In English")
    es: str = Field(min_length=1, description="In Spanish")

    @model_validator(mode="before")
    @classmethod
    def _one_text_for_both(cls, value: Any) -> Any:
        return {"en": value, "es": value} if isinstance(value, str) else value

    def in_language(self, language: str) -> str:
        """The text in `language` (`en` or `es`)."""
        return self.es if language == "es" else self.en


Topic = Annotated[str, StringConstraints(pattern=r"^[a-z]+(_[a-z]+)*$")]
"""What a fact is about, such as `hours` or `happy_hour`."""


class Turn(_Strict):
    """One turn of the callee."""

    does: TurnKind = Field("speaks", description="What the turn is; the assistant replies to that")
    says: BilingualText | None = Field(
        None, description="What the callee says; only `hangs_up` needs no words"
    )
    about: Detail | None = Field(
        None, description="`asks`: the detail that the callee asks for; none of these if null"
    )
    at: TimeOfDay | None = Field(None, description="`offers`, `agrees`: the time")
    on: IsoDate | None = Field(None, description="`offers`, `agrees`: the day")
    seconds: float = Field(
        0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long nobody speaks after the assistant's reply",
    )

    @model_validator(mode="before")
    @classmethod
    def _words_alone(cls, value: Any) -> Any:
        """Take a text, or a text in both languages, as a turn of words."""
        has_both_languages = isinstance(value, Mapping) and value.keys() == {"en", "es"}
        is_text = isinstance(value, str | BilingualText) or has_both_languages
        return {"says": value} if is_text else value

    @model_validator(mode="after")
    def _has_words(self) -> Self:
        if self.says is None and self.does != "hangs_up":
            raise ValueError("`says` is missing: only `hangs_up` needs no words")
        if self.about is not None and self.does != "asks":
            raise ValueError("`about` needs `does` to be `asks`")
        if self.names_slot and self.does not in ("offers", "agrees"):
            raise ValueError("`at` and `on` need `does` to be `offers` or `agrees`")
        return self

    @property
    def names_slot(self) -> bool:
        """Whether the callee names a day or a time."""
        return self.at is not None or self.on is not None

    def words(self, language: str) -> str:
        """What the callee says in `language`; empty if nothing."""
        return self.says.in_language(language) if self.says is not None else ""


class Scenario(_Strict):
    """What happens in a call to a line."""

    does: Does = Field("agrees", description="What the callee does")
    at: TimeOfDay | None = Field(
        None, description="`agrees`: the time that is free; other times are taken"
    )
    on: IsoDate | None = Field(
        None, description="`agrees`: the day that is free; other days are taken"
    )
    answer: BilingualText | None = Field(
        None, description="What the callee answers to the request and to each question"
    )
    knows: dict[Topic, BilingualText | None] = Field(
        {},
        description="What the callee knows, by topic, such as `hours` or `parking`, in place of "
        "what every callee of the sandbox knows; null: it does not know that. A topic that the "
        "sandbox does not have is found by its own words",
    )
    turns: tuple[Turn, ...] = Field(
        (),
        description="What the callee says before it answers the request; from the beginning of the "
        "call if the first"
        " turn `greets`. After the last one the callee goes on as `does` says, unless the call has "
        "ended",
    )
    ignores_instructions: bool = Field(
        False, description="The assistant agrees to another time although that is forbidden"
    )
    is_recording: bool = Field(
        False, description="A recording speaks: it says no goodbye, and the line goes dead"
    )
    discloses: bool = Field(
        True, description="The assistant says that it is an AI if it is told to"
    )
    highlights: BilingualText | None = Field(
        None, description="The summary, in place of the sandbox's own"
    )
    next_steps: BilingualText | None = Field(
        None, description="The next steps, in place of the sandbox's own"
    )
    has_event: bool = Field(
        True, description="Whether the calendar shows what the callee agreed to"
    )
    has_transcript: bool = Field(
        True, description="Whether the service has a transcript of the call"
    )
    refusal: RefusalCode | None = Field(
        None, description="The request is refused with this code, and nobody is called"
    )
    loses_the_answer: bool = Field(
        False,
        description=(
            "The call is placed, and the connection is cut before the client gets the answer"
        ),
    )
    shows_progress: bool = Field(
        False,
        description="The request is answered at once, with a status that is not final, and until "
        "the call has ended, its details have the conversation so far",
    )
    seconds: float | None = Field(
        None,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="How long the call lasts by the clock; by default as long as the conversation, "
        "divided by the"
        " sandbox's speed. `is_played`: how long somebody can pick up; by default 30 s, whatever "
        "the speed",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.does == "answers" and self.answer is None:
            raise ValueError("`answers` needs `answer`, the words of the answer")
        if self.names_slot and self.does != "agrees":
            raise ValueError("`at` and `on` need `does` to be `agrees`")
        if self.does == "is_played" and self._set_keys() - _KEYS_OF_PLAYED:
            raise ValueError(
                "`is_played` can have only `seconds`, `refusal`, and `loses_the_answer`"
            )
        return self

    def _set_keys(self) -> set[str]:
        return {
            name
            for name, key in Scenario.model_fields.items()
            if getattr(self, name) != key.default
        }

    @property
    def names_slot(self) -> bool:
        """Whether only one day or time is free."""
        return self.at is not None or self.on is not None


class LineScript(Scenario):
    """What happens on a line: in the first call, and in the calls after it."""

    then: tuple[Scenario, ...] = Field(
        (),
        max_length=100,
        description="What happens in the calls after the first one; the last one is for all others",
    )

    @property
    def can_be_played(self) -> bool:
        """Whether somebody plays the callee in one of the calls."""
        return any(each.does == "is_played" for each in (self, *self.then))

    def in_call(self, index: int) -> Scenario:
        """What happens in the call number `index`, from 0."""
        calls = (self, *self.then)
        return calls[min(index, len(calls) - 1)]


class Line(LineScript):
    """A line with its number, as in a scenario file."""

    number: PhoneNumber
    name: str = Field("", description="A name for programs")
    description: BilingualText = Field(
        BilingualText(en="A line of this file", es="Una línea de este archivo"),
        description="What happens, for people",
    )
