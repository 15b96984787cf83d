"""The KallyAI of a simulated run, written from the reference alone, and the ways in which it may
differ from it.
"""

import json
import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, Literal

from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from tests.faults.simulation.world import World

Json = dict[str, Any]

Order = Literal["newest first", "oldest first", "changed first"]
Echo = Literal["all", "not the task", "name and number", "nothing"]
Broken = Literal["cut", "page", "empty", "half"]

ENDINGS = {
    "success": 95.0,
    "no_answer": 32.0,
    "busy": 3.0,
    "voicemail": 28.0,
    "failed": 8.0,
    "cancelled": 15.0,
}
"""How calls end, and after how many seconds."""

BOOKED = "booked"
"""As an ending: `success`, and the call has a calendar event."""

DROPPED = "dropped"
"""As an ending: `failed`, and the transcript has words of the callee."""

TALKED = "talked"
"""As an ending: `no_answer`, and the transcript has words of the callee, `Quirks.words_late` after
the end.
"""

OPTED_OUT = "opted out"
"""As an ending: `success`, and the callee asks not to be called again."""

STATUS_OF = {BOOKED: "success", DROPPED: "failed", TALKED: "no_answer", OPTED_OUT: "success"}
"""The status that a call ends with, where the ending has another name."""

_EVENT = (
    "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nDTSTART:20260130T200000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)

_LONG = 60.0
"""The seconds after which every client has given up."""

_DATE_COUNTS = timedelta(seconds=100)
"""A `Date` that is read so long after its request tells the time; the program allows two
minutes.
"""


@dataclass(frozen=True)
class Quirks:
    """How the service differs from the reference; times are in seconds."""

    clock_ahead: float = 0.0  # of the true time
    order: Order = "newest first"  # of its list
    page: int = 200  # the most calls that it lists at once, whatever `limit` says
    has_dates: bool = True  # it dates its calls
    echo: Echo = "all"  # how much of the submission it repeats
    with_seconds: bool = False  # it repeats the time of an appointment with seconds
    spellings: Mapping[str, str] = field(default_factory=dict)  # of statuses
    # A call is in the list, and found by its id, only after it has ended.
    lists_ended_only: bool = False
    forgets_keys: bool = False  # an Idempotency-Key is forgotten when its call ends
    answers_at_once: bool = False  # it answers when the call begins, with `in_progress`
    details_late: float = 0.0  # a call is found by its id only so long after it began
    words_late: float = 0.0  # the transcript has the words of the callee so long after the end
    # Nothing comes when it is asked about calls to these numbers.
    hangs_for: frozenset[str] = frozenset()

    def repeated(self, submission: Json) -> set[str]:
        """The fields of a submission that it repeats."""
        return {
            "all": set(submission),
            "not the task": set(submission) - {"task_description", "additional_instructions"},
            "name and number": {"respondent_phone", "business_name"},
            "nothing": set[str](),
        }[self.echo]


@dataclass(frozen=True)
class Trouble:
    """What happens to one request: the status of the answer, or how it is broken, after a delay in
    seconds.

    `placed`: a request for a call is processed before. `names_call`: an error has the id of the
    call.
    """

    answer: int | Broken
    placed: bool = False
    delay: float = 0.0
    names_call: bool = False
    retry_after: int | None = None


@dataclass(frozen=True)
class PhoneCall:
    """One call; all times are the true ones, and `sender` is the process that sent the first
    request for it.
    """

    call_id: str
    account: str
    key: str | None
    submission: Json
    started: datetime
    ends: datetime
    status: str
    sender: str = ""
    is_ours: bool = True
    is_booked: bool = False
    callee_spoke: bool = False
    opts_out: bool = False

    @property
    def reached_somebody(self) -> bool:
        """Whether somebody talked, as far as the service shows."""
        return self.status == "success" or self.callee_spoke


class SimulatedService:
    """The service as an ASGI app, and the truth about its calls, those of other programs included.

    `troubles` happen to the first requests for a call in turn, `look_troubles` to the first other
    ones. `endings` say how calls end, by the number or by the task's description; all others
    succeed. `dated` has which process was sent a whole response with a `Date`, and when. `bodies`
    has the submissions that were sent with each key.
    """

    def __init__(
        self,
        world: World,
        quirks: Quirks,
        troubles: tuple[Trouble, ...] = (),
        look_troubles: tuple[Trouble, ...] = (),
        endings: Mapping[str, str] | None = None,
        seed: int = 0,
    ) -> None:
        self._world = world
        self.quirks = quirks
        self._troubles = list(troubles)
        self._look_troubles = list(look_troubles)
        self._hangs_for = quirks.hangs_for
        self._endings = endings or {}
        self._rng = random.Random(seed)  # noqa: S311 - it has to be repeatable, not secret
        self.calls: list[PhoneCall] = []
        self.bodies: dict[str | None, list[Json]] = {}
        self._by_key: dict[tuple[str, str], PhoneCall] = {}
        self.dated: list[tuple[str, datetime]] = []

    def stop_troubles(self) -> None:
        """Let no more troubles happen."""
        self._troubles.clear()
        self._look_troubles.clear()
        self._hangs_for = frozenset()

    def status_of(self, call: PhoneCall) -> str:
        """The status of a call that has ended, as the service spells it."""
        return self.quirks.spellings.get(call.status, call.status)

    def add_foreign(
        self, account: str, submission: Json, age: float, status: str = "success"
    ) -> None:
        """Add a call that another program placed `age` seconds ago."""
        started = self._world.now() - timedelta(seconds=age)
        ends = started + timedelta(seconds=ENDINGS[status])
        self.calls.append(
            PhoneCall(
                self._new_id(), account, None, submission, started, ends, status, is_ours=False
            )
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, arrived = Request(scope, receive), self._world.now()
        trouble = next(iter(self._look_troubles), None) if request.method == "GET" else None
        # Else it is asked again.
        is_read = trouble is None or trouble.answer not in (429, 502, 503, 504, "page")
        await self._answer(request, send)
        if is_read and (now := self._world.now()) - arrived < _DATE_COUNTS:
            self.dated.append((request.headers["User-Agent"], now))

    async def _answer(self, request: Request, send: Send) -> None:
        """Answer one request; an error is raised when the response is not whole."""
        body = await request.json() if request.method == "POST" else {}
        if request.method == "POST":
            key = request.headers.get("Idempotency-Key")
            self.bodies.setdefault(key, []).append(body["submission"])
        troubles = self._troubles if request.method == "POST" else self._look_troubles
        trouble = troubles.pop(0) if troubles else None
        if trouble is not None and not trouble.placed:
            await self._world.sleep(trouble.delay)
            await self._break(trouble, request, {}, send)
            return
        if request.method != "POST":
            await self._hang(request)
            await self._respond(send, *self._look(request))
            return
        call = self._place(request, body["submission"])
        if trouble is not None:
            await self._world.sleep(trouble.delay)
            await self._break(trouble, request, self._shown(call), send)
            return
        if not self.quirks.answers_at_once:
            await self._world.sleep((call.ends - self._world.now()).total_seconds())
        await self._respond(send, 201, self._shown(call))

    def _place(self, request: Request, submission: Json) -> PhoneCall:
        account, key, now = (
            _account_of(request),
            request.headers.get("Idempotency-Key"),
            self._world.now(),
        )
        known = self._by_key.get((account, key or ""))
        if known is not None and (not self.quirks.forgets_keys or now < known.ends):
            return known
        task = plain(submission["task_description"])
        ending = self._endings.get(submission["respondent_phone"]) or self._endings.get(
            task, "success"
        )
        status = STATUS_OF.get(ending, ending)
        ends = now + timedelta(seconds=ENDINGS[status])
        call = PhoneCall(
            self._new_id(),
            account,
            key,
            submission,
            now,
            ends,
            status,
            request.headers["User-Agent"],
            is_booked=ending == BOOKED,
            callee_spoke=ending in (DROPPED, TALKED),
            opts_out=ending == OPTED_OUT,
        )
        self.calls.append(call)
        if key is not None:
            self._by_key[account, key] = call
        return call

    def _look(self, request: Request) -> tuple[int, Json | bytes]:
        path, account, now = request.url.path, _account_of(request), self._world.now()
        if path == "/v1/users/me/statistics":
            return 200, {"plan_type": "business", "minutes_remaining": 5000, "calls_remaining": 900}
        if path == "/v1/calls":
            calls = [call for call in self.calls if self._is_visible(call, account)]
            return 200, self._page(
                calls, int(request.query_params["limit"]), int(request.query_params["offset"])
            )
        id_, _, part = path.removeprefix("/v1/calls/").partition("/")
        call = next(
            (
                call
                for call in self.calls
                if call.call_id == id_ and self._is_visible(call, account)
            ),
            None,
        )
        if call is not None and part == "calendar.ics" and call.is_booked:
            return 200, _EVENT.encode()
        spoken = now - timedelta(seconds=self.quirks.words_late)
        if call is not None and part == "transcript" and call.callee_spoke and call.ends <= spoken:
            return 200, {"entries": [{"speaker": "HUMAN", "content": "Yes, you have it"}]}
        if call is not None and part == "transcript" and call.opts_out and call.ends <= now:
            words = "Please don't call us again."
            return 200, {"entries": [{"speaker": "HUMAN", "content": words}]}
        if (
            call is not None
            and not part
            and call.started <= now - timedelta(seconds=self.quirks.details_late)
        ):
            return 200, self._shown(call)
        return 404, {"error": {"code": "call_not_found"}}

    async def _hang(self, request: Request) -> None:
        """Let a client give up that asks about a call to one of the numbers that are named so."""
        path = request.url.path
        for call in self.calls:
            if call.submission["respondent_phone"] in self._hangs_for and call.call_id in path:
                await self._world.sleep(_LONG)

    def _is_visible(self, call: PhoneCall, account: str) -> bool:
        return call.account == account and (
            not self.quirks.lists_ended_only or self._world.now() >= call.ends
        )

    def _page(self, calls: list[PhoneCall], limit: int, offset: int) -> Json:
        ordered = sorted(
            calls, key=lambda call: call.started, reverse=self.quirks.order == "newest first"
        )
        if self.quirks.order == "changed first":
            now = self._world.now()
            ordered.sort(
                key=lambda call: call.ends if call.ends <= now else call.started, reverse=True
            )
        page = ordered[offset : offset + min(limit, self.quirks.page)]
        listed = [self._listed(call) for call in page]
        return {"calls": listed, "total": len(calls)}

    def _listed(self, call: PhoneCall) -> Json:
        """An entry of the list: the fields of the reference's example."""
        shown = self._shown(call)
        few = {
            k: v
            for k, v in shown["submission"].items()
            if k in ("respondent_phone", "business_name")
        }
        return {k: v for k, v in shown.items() if k in ("call_id", "status", "metadata")} | {
            "submission": few
        }

    def _shown(self, call: PhoneCall) -> Json:
        ended = self._world.now() >= call.ends
        shown: Json = {
            "call_id": call.call_id,
            "status": self.status_of(call) if ended else "in_progress",
        }
        if ended:
            shown |= {
                "highlights": f"It ended: {call.status}",
                "duration_seconds": ENDINGS[call.status],
            }
        shown["submission"] = self._echo(call.submission)
        if self.quirks.has_dates:
            at = (call.started + timedelta(seconds=self.quirks.clock_ahead)).replace(microsecond=0)
            shown["metadata"] = {"created_at": at.isoformat()}
        return shown

    def _echo(self, submission: Json) -> Json:
        names = self.quirks.repeated(submission)
        echo = {name: value for name, value in submission.items() if name in names}
        if "appointment_time" in echo and self.quirks.with_seconds:
            echo["appointment_time"] += ":00"
        return echo

    async def _break(self, trouble: Trouble, request: Request, shown: Json, send: Send) -> None:
        if trouble.answer == "cut":
            raise ConnectionResetError("the connection was cut")
        if trouble.answer == "half":
            await self._start(send, 201, {"content-length": "1000"})
            await send({"type": "http.response.body", "body": b'{"call_id": ', "more_body": True})
            raise ConnectionResetError("the connection was cut")
        if trouble.answer == "empty":
            await self._respond(send, 201 if request.method == "POST" else 200, b"")
        elif trouble.answer == "page":
            await self._respond(send, 502, b"<!doctype html><h1>502 Bad Gateway</h1>")
        elif 300 <= trouble.answer < 400:
            await self._respond(
                send, trouble.answer, b"", {"location": "https://elsewhere.example/v1/calls"}
            )
        else:
            named = {"call_id": shown["call_id"]} if trouble.names_call else {}
            pause = {} if trouble.retry_after is None else {"retry-after": str(trouble.retry_after)}
            await self._respond(
                send, trouble.answer, {"error": {"code": f"code_{trouble.answer}"}} | named, pause
            )

    async def _respond(
        self, send: Send, status: int, body: Json | bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        await self._start(send, status, headers or {})
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        await send({"type": "http.response.body", "body": content})

    async def _start(self, send: Send, status: int, headers: Mapping[str, str]) -> None:
        given = {"content-type": "application/json", **headers}
        now = (self._world.now() + timedelta(seconds=self.quirks.clock_ahead)).astimezone(UTC)
        given["date"] = format_datetime(now.replace(microsecond=0), usegmt=True)
        pairs = [(name.encode(), value.encode()) for name, value in given.items()]
        await send({"type": "http.response.start", "status": status, "headers": pairs})

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._rng.getrandbits(128), version=4))


def _account_of(request: Request) -> str:
    return request.headers["Authorization"].removeprefix("Bearer token-of-")


def plain(value: Any) -> Any:
    """A value without case, spacing, and final full stops."""
    if isinstance(value, str):
        return " ".join(value.split()).casefold().rstrip(" .")
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
