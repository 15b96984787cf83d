"""A call service with a ledger of its own, and the answers of the fake KallyAI that it asks; only
the test moves the clock.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from inspect import isawaitable
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.api.models import Submission
from kallyai_mcp.calls.calls import Calls
from kallyai_mcp.calls.context import CallContext
from kallyai_mcp.calls.ledger.base import Database, Ledger
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, CallPolicy, Consent
from kallyai_mcp.calls.records import AccountKey, CallRecord, CallRequest, CallState
from kallyai_mcp.calls.timing import Timing
from kallyai_mcp.clock import Stopwatch
from tests.calls.ledgers import NOW, WatchedDatabase, database_at
from tests.calls.manual_time import ManualClock, run
from tests.fake_service import in_process

TABLE = Submission(
    task_category="restaurant",
    task_description="Book a table",
    respondent_phone="+14155551234",
    party_size=4,
)
Result = TypeVar("Result")

Json = dict[str, Any]
Reply = tuple[int, Json | str] | Callable[[], Awaitable[tuple[int, Json]]]
"""A status and a body; a text is a web page."""

PLACED: Reply = (201, {"call_id": "c-1", "status": "success", "highlights": "Booked"})
LOST: Reply = (500, {"detail": "the response was lost"})
REFUSED: Reply = (403, {"error": {"code": "blocked_number"}})


def reply(status: str, call_id: str = "c-1") -> Reply:
    """The answer to a request whose call has ended."""
    return 201, {"call_id": call_id, "status": status}


def after(step: Callable[[], object], answer: Reply) -> Reply:
    """An answer that comes after a step, such as one that takes time."""

    async def answer_then() -> tuple[int, Any]:
        done = step()
        if isawaitable(done):
            await done
        assert not callable(answer)
        return answer

    return answer_then


def shown(
    call_id: str = "c-1", status: str = "success", at: datetime = NOW, **submission: Any
) -> Json:
    """A call as the service lists it and shows it."""
    echo = {"respondent_phone": "+14155551234", "task_description": "Book a table"} | submission
    ended = {"highlights": "Booked"} if status == "success" else {}
    return {
        "call_id": call_id,
        "status": status,
        "created_at": at.isoformat(),
        "submission": echo,
        **ended,
    }


@dataclass
class Service:
    """What the fake KallyAI of `tests.fake_service` answers to a call service.

    Attributes:
        replies: The answers to `POST /v1/calls`, in turn; the last one is given again and again.
        calls: What it lists, in this order, and shows: `hidden` ones not in the list, others not by
            themselves.
        keys: The Idempotency-Key of each POST so far.
        on_look: Called with the number of looks into its list so far, before the list is given.
        calendars: The calendar file of a call by its id, or what is awaited in its place.
        transcripts: What the callee said in a call, by its id; given with the status
            `transcript_status`.
        clock_offset: How many seconds its clock is ahead of the machine's; None: it sends no
            `Date`.
        details: Its answer to every request for one call; None: what it lists.
        page: How many calls it lists at once, at most.
        empty: The end of the paths that it answers with 200 and an empty body; "" for none.
    """

    clock: ManualClock
    replies: list[Reply] = field(default_factory=lambda: [PLACED])
    calls: list[Json] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    accounts: list[str] = field(default_factory=list)
    looks: int = 0
    calendars: dict[str, str | Callable[[], Awaitable[None]]] = field(default_factory=dict)
    transcripts: dict[str, str] = field(default_factory=dict)
    on_look: Callable[[int], None] = lambda _: None
    clock_offset: float | None = 0
    headers: dict[str, str] = field(default_factory=dict)
    details: Json | None = None
    hidden: set[str] = field(default_factory=set)
    without_details: set[str] = field(default_factory=set)
    page: int = 200
    with_total: bool = True
    ignores_offset: bool = False
    list_status: int = 200
    transcript_status: int = 200
    empty: str = ""

    def service_time(self) -> datetime:
        """The time by its clock."""
        return self.clock.now() + timedelta(seconds=self.clock_offset or 0)

    async def respond(self, request: Request) -> Response:
        """Its answer to a request."""
        response = await self._response_to(request)
        response.headers.update(self.headers)
        if self.clock_offset is not None:
            date = format_datetime(self.service_time().astimezone(UTC), usegmt=True)
            response.headers["Date"] = date
        return response

    async def _response_to(self, request: Request) -> Response:
        path = request.url.path
        if self.empty and path.endswith(self.empty):
            return Response(media_type="application/json")
        if path.endswith("/calendar.ics"):
            return await self._calendar(path.split("/")[-2])
        status, body = await self._answer(request)
        if isinstance(body, str):
            return Response(body, status, media_type="text/html")
        return JSONResponse(body, status)

    async def _calendar(self, call_id: str) -> Response:
        calendar = self.calendars.get(call_id)
        if callable(calendar):
            await calendar()
        if not isinstance(calendar, str):
            return Response('{"error": {"code": "not_found"}}', 404, media_type="application/json")
        return Response(calendar, media_type="text/calendar")

    async def _answer(self, request: Request) -> tuple[int, Json | str]:
        if request.method == "POST":
            self.keys.append(request.headers["Idempotency-Key"])
            self.accounts.append(request.headers["Authorization"].removeprefix("Bearer token-of-"))
            reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
            return await reply() if callable(reply) else reply
        if request.url.path == "/v1/calls":
            self.looks += 1
            self.on_look(self.looks)
            offset = 0 if self.ignores_offset else int(request.query_params["offset"])
            limit = min(self.page, int(request.query_params["limit"]))
            listed = [call for call in self.calls if call["call_id"] not in self.hidden]
            total = {"total": len(listed)} if self.with_total else {}
            return self.list_status, {"calls": listed[offset : offset + limit]} | total
        if request.url.path.endswith("/transcript"):
            said = self.transcripts.get(request.url.path.split("/")[-2])
            missing = {"error": {"code": "transcript_not_found"}}
            words = {"entries": [{"speaker": "human", "content": said}]}
            return (self.transcript_status, words) if said else (404, missing)
        if self.details is not None:
            return 200, self.details
        shown = [call for call in self.calls if call["call_id"] not in self.without_details]
        found = [call for call in shown if request.url.path.endswith(f"/{call['call_id']}")]
        return (200, found[0]) if found else (404, {"error": {"code": "call_not_found"}})


def end_of(record: CallRecord) -> tuple[CallState, str | None]:
    """The state of a record, and the code of its error."""
    return record.state, record.error.code if record.error is not None else None


class Session:
    """Who is signed in, and whether the token can be renewed; a test may change both."""

    def __init__(self, account: str) -> None:
        self.name: str | None = account
        self.can_renew = False

    async def account(self) -> AccountKey:
        if self.name is None:
            raise NotSignedInError("Not signed in")
        return AccountKey("https://api.example", self.name)

    async def access_token(self) -> str:
        return f"token-of-{(await self.account()).account}"

    async def renew(self, rejected: str) -> str:
        if self.can_renew:
            return f"{rejected}2"
        raise NotSignedInError(f"{len(rejected)} characters were refused")


@dataclass
class World:
    """One process: its call service, its clock, and who is signed in."""

    calls: Calls
    service: Service
    clock: ManualClock
    database: WatchedDatabase
    session: Session
    ledger: Ledger

    def answering(
        self, replies: Sequence[Reply] = (PLACED,), calls: Sequence[Json] = (), **more: Any
    ) -> Service:
        """The service, with these answers and faults."""
        for name, value in ({"replies": [*replies], "calls": [*calls]} | more).items():
            setattr(self.service, name, value)
        return self.service

    async def run(self, work: Awaitable[Result]) -> Result:
        """Do `work` while time passes."""
        return await run(self.clock, work)

    def request(self, submission: Submission = TABLE, *, redial: bool = False) -> CallRequest:
        """A request that arrives now."""
        return CallRequest(submission, "UTC", Stopwatch(self.clock), redial=redial)

    async def precheck(self, *, redial: bool = False) -> CallRecord:
        """What the ledger says about a call before the user is asked for consent."""
        return await self.run(self.calls.precheck(self.request(redial=redial)))

    async def place(
        self,
        submission: Submission = TABLE,
        *,
        redial: bool = False,
        consent: Consent = NOT_LOOKED_AT,
    ) -> CallRecord:
        """Ask for a call, and don't wait for its end."""
        return await self.run(
            self.calls.place(self.request(submission, redial=redial), consent=consent)
        )

    async def outcome(self, placed: CallRecord) -> CallRecord:
        """Wait for the end of a call."""
        return await self.run(self.calls.wait(placed, 86_400))

    async def call(self, submission: Submission = TABLE, *, redial: bool = False) -> CallRecord:
        """Ask for a call, and wait for its end."""
        return await self.outcome(await self.place(submission, redial=redial))

    async def find(self, id_: str) -> CallRecord:
        """The record with this id, which there must be."""
        found = await self.run(self.calls.find(id_))
        assert found is not None
        return found

    async def tell(self, record: CallRecord) -> None:
        """Deliver an outcome to a client."""
        await self.run(self.calls.delivery.deliver(record))


@asynccontextmanager
async def world(
    service: Service,
    place: str,
    *,
    timing: Timing = Timing(watch_active=20, watch_idle=20, reread_others=2),  # noqa: B008 - frozen; fewer looks at the ledger
    policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
    database: Database | None = None,
    url: str | None = None,
    works_alone: bool = True,
    is_read_only: bool = False,
) -> AsyncIterator[World]:
    """A process that uses the ledger at `place`, or the one in `database`; and the server at `url`,
    if there is one.

    Unless it `works_alone`, it works only during a request, as a server for callers with their own
    tokens does.
    """
    clock, session = service.clock, Session("account-1")
    database = WatchedDatabase(database or database_at(place, clock.now), clock)
    ledger = Ledger(database, policy=policy, timing=timing)
    app = None if url else in_process(service.respond)
    api = KallyAI(
        url or "http://service", tokens=session, user_agent="tests", app=app, retry_backoff=0
    )
    called = CallContext(lambda: api, session.account, lambda: ledger, timing=timing, clock=clock)
    if url:  # else a request would ask it for its time
        with called.api():
            api.server_time = clock.now()
    async with (
        aclosing(database),
        Calls(called, works_alone=works_alone, is_read_only=is_read_only) as calls,
    ):
        yield World(calls, service, clock, database, session, ledger)
