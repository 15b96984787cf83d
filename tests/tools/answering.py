"""A KallyAI that answers each request for a call as a test says."""

import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from kallyai_mcp.settings import Settings
from tests.agent import Agent, open_agent, settings_in
from tests.fake_service import Reply, fake_service
from tests.sandbox.manual_clock import ManualClock


def calendar_file(*events: Sequence[str]) -> str:
    """A calendar file with these events, each a sequence of properties."""
    lines = [line for event in events for line in ("BEGIN:VEVENT", "UID:1", *event, "END:VEVENT")]
    return "\r\n".join(
        ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:tests", *lines, "END:VCALENDAR", ""]
    )


class Answering:
    """The answers, and the settings of an agent that uses this KallyAI.

    What is answered to `calls`, and their `calendars`, are by the number that is called, or its
    beginning; an `error` is an HTTP status and its body. A calendar or the transcript may be an
    HTTP status. `placed` has the calls by their ids, as they are told from now on; `bodies` the
    requests for them.
    """

    settings: Settings

    def __init__(
        self,
        calls: Mapping[str, Mapping[str, Any]],
        calendars: Mapping[str, str | int] | None = None,
    ) -> None:
        self.calls = calls
        self.calendars = dict(calendars or {})
        self.transcript: Any = {"entries": []}
        self.statistics: dict[str, Any] = {}
        self.subscription: dict[str, Any] = {}
        self.placed: dict[str, dict[str, Any]] = {}
        self.bodies: list[dict[str, Any]] = []

    async def answer(self, request: Request) -> Reply:
        path = request.url.path.removeprefix("/v1/")
        match request.method, path.split("/"):
            case "POST", ["calls"]:
                body = await request.json()
                self.bodies.append(body)
                submission = body["submission"]
                said = self._of(self.calls, submission["respondent_phone"], {})
                return said["error"] if "error" in said else (201, self._place(submission, said))
            case _, ["calls"]:
                return 200, {
                    "calls": list(reversed(self.placed.values())),
                    "total": len(self.placed),
                }
            case _, ["calls", id_] if id_ in self.placed:
                return 200, self.placed[id_]
            case _, ["calls", id_, "transcript"] if id_ in self.placed:
                return (
                    (self.transcript, {})
                    if isinstance(self.transcript, int)
                    else (200, self.transcript)
                )
            case _, ["calls", id_, "calendar.ics"] if id_ in self.placed:
                file = self._of(
                    self.calendars, self.placed[id_]["submission"]["respondent_phone"], 404
                )
                return (
                    (file, {})
                    if isinstance(file, int)
                    else Response(file, media_type="text/calendar")
                )
            case _, ["users", "me", what]:
                return 200, self.statistics if what == "statistics" else self.subscription
            case _, ["stripe", "billing-portal"]:
                return 200, {"url": "https://billing.stripe.com/p/session/x"}
        return 404, {}

    def _place(self, submission: dict[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
        id_ = said.get("call_id") or str(uuid.uuid4())
        self.placed[id_] = {
            "call_id": id_,
            "submission": submission,
            "duration_seconds": 60,
            **said,
        }
        return self.placed[id_]

    @staticmethod
    def _of(answers: Mapping[str, Any], number: str, otherwise: Any) -> Any:
        return next(
            (answer for start, answer in answers.items() if number.startswith(start)), otherwise
        )


@asynccontextmanager
async def asking(
    home: Path,
    clock: ManualClock,
    calls: Mapping[str, Mapping[str, Any]],
    calendars: Mapping[str, str | int] | None = None,
    client_options: Mapping[str, Any] = MappingProxyType({}),
    **environment: str,
) -> AsyncIterator[tuple[Answering, Agent]]:
    """Serve these answers; yields them, and an agent that uses this KallyAI."""
    kallyai = Answering(calls, calendars)
    async with fake_service(kallyai.answer) as url:
        kallyai.settings = settings_in(
            home, API_URL=url, ACCESS_TOKEN="token-0123456789", **environment
        )
        async with open_agent(
            kallyai.settings, mode="auto", clock=clock, **client_options
        ) as agent:
            yield kallyai, agent
