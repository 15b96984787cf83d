"""The sandbox of one test: its address and account for the agent, its lines, and the calls that were placed."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from anyio.from_thread import start_blocking_portal

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.testing.line import Line, check_number

__tracebackhide__ = True  # pytest shows a failed assertion at the line of the test

_AT_ONCE = 1e9
"""The speed at which a call of several minutes lasts less than a microsecond."""

_MOST_CALLS = 10_000
_GIVEN = ("form", "confirmation")
"""The kinds of consent in which the user themselves agreed (`calls.policy.ConsentKind`)."""


@dataclass(frozen=True)
class PlacedCall:
    """A call that was placed, even if its client did not get the answer.

    `submission` is the reference's "SubmissionPayload", as it was sent, and `status` the reference's, or
    `in_progress`. Until the call has ended, `highlights` and `calendar` (the iCalendar file of what was booked) are
    None, and `transcript` is empty; it has (speaker, words), and the speaker is `AI` or `HUMAN`.
    """

    number: str
    submission: dict[str, Any]
    status: str
    highlights: str | None
    transcript: tuple[tuple[str, str], ...]
    calendar: str | None
    idempotency_key: str | None
    call_id: str
    started_at: datetime


class KallyAISandbox:
    """A KallyAI for one test, at `url`, signed in, by default as an account with 27 calls left.

    `env` is to be added to the environment of the server's process: the API's URL, the access token, a folder of its
    own, and `KALLYAI_CONFIRM=never`. To test consent, set `KALLYAI_CONFIRM` to `always`.
    """

    def __init__(self, app: SandboxApp, url: str, home: Path, *, account_id: str = "acct-personal") -> None:
        self._sandbox = app.state.sandbox
        self.url = url
        self.access_token: str = self._sandbox.issue_tokens(account_id)["access_token"]
        self.env = {
            "KALLYAI_API_URL": url,
            "KALLYAI_ACCESS_TOKEN": self.access_token,
            "KALLYAI_HOME": str(home),
            "KALLYAI_CONFIRM": "never",
        }

    def line(self, number: str) -> Line:
        """The line with this number (E.164), to say what happens on it."""
        return Line(number, self._sandbox.lines)

    @property
    def calls(self) -> list[PlacedCall]:
        """The calls that were placed, oldest first."""
        now = self._sandbox.clock.now()
        with self._sandbox.store.transaction() as db:
            return [_placed_call(call.seen_at(now)) for call in call_table.all_calls(db)]

    def assert_called_once(self, number: str) -> PlacedCall:
        """Check that exactly one call was placed to this number (E.164), and return it."""
        check_number(number)
        to_number = [call for call in self.calls if call.number == number]
        if len(to_number) != 1:
            self._fail(f"Exactly one call to {number} was expected, but {_placed(len(to_number))} to it.")
        return to_number[0]

    def assert_not_called(self, number: str | None = None) -> None:
        """Check that no call was placed; with `number` (E.164), that none was placed to it."""
        if number is not None:
            check_number(number)
        found = [call for call in self.calls if number in (None, call.number)]
        if found:
            self._fail(f"No call{f' to {number}' if number else ''} was expected, but {_placed(len(found))}.")

    def assert_consented(self) -> None:
        """Check that the user agreed to each placed call before it was placed, and that there was one.

        The audit trail of kallyai-mcp shows it. So the server must have run with `env`, and must have asked the user:
        with `KALLYAI_CONFIRM=always`.
        """
        calls, consents = self.calls, _consents_of(self.env)
        if not calls:
            self._fail("The user's yes to a call was expected, but no call was placed.")
        without = [call for call in calls if consents.get(call.idempotency_key) not in _GIVEN]
        if without:
            self._fail(
                f"The user's yes to each call was expected, but {_placed(len(without))} without it. The server asks "
                "before each call with KALLYAI_CONFIRM=always."
            )

    def _fail(self, what: str) -> NoReturn:
        """Raise an `AssertionError` that tells every call that was asked for, in order, with its outcome."""
        events = []
        for call in self.calls:
            ended = f"{call.status}: {call.highlights}" if call.highlights else call.status
            asked = f"the agent called {call.number}{_task(call.submission)}"
            events.append((call.started_at, f"{asked}. It ended with {ended}"))
        for each in self._sandbox.refused_calls():
            asked = f"the agent asked to call {each.respondent_phone or 'no number'}{_task(each.submission)}"
            events.append((each.at, f"{asked}. It was refused: {each.code} ({each.reason})."))
        lines = [f"  {index}. {text}" for index, (_, text) in enumerate(sorted(events), start=1)]
        history = ["What happened:", *lines] if lines else ["Nothing happened: the agent did not ask for any call."]
        raise AssertionError("\n".join([what, *history]))


def _placed(number: int) -> str:
    return {0: "no call was placed", 1: "1 call was placed"}.get(number, f"{number} calls were placed")


def _task(submission: Mapping[str, Any]) -> str:
    """The callee and the task of a call, in words."""
    business = f" ({submission['business_name']})" if "business_name" in submission else ""
    return f"{business} to “{submission['task_description']}”"


def _placed_call(seen: Mapping[str, Any]) -> PlacedCall:
    kept = ("submission", "status", "highlights", "calendar", "idempotency_key", "call_id", "started_at")
    return PlacedCall(
        number=seen["submission"]["respondent_phone"],
        transcript=tuple((entry["speaker"], entry["content"]) for entry in seen["transcript"] or ()),
        **{name: seen[name] for name in kept},
    )


def _consents_of(env: Mapping[str, str]) -> dict[str | None, str | None]:
    """How consent was given to each call, by its Idempotency-Key, from the audit trail of a server with `env`."""
    from kallyai_mcp.cli.connection import Connection
    from kallyai_mcp.cli.output import run
    from kallyai_mcp.settings import Settings

    async def read() -> dict[str | None, str | None]:
        async with Connection(Settings.from_env(env)) as connection:
            account, ledger = await connection.account_key(), connection.ledger()
            entries = await ledger.audit(account, _MOST_CALLS)
            records = [(await ledger.find(account, entry.tracking_id or ""), entry.how) for entry in entries]
            return {record.idempotency_key: how for record, how in records if record is not None}

    with ThreadPoolExecutor(1) as thread:  # in this thread, the test may have an event loop of its own
        return thread.submit(run, read).result()


@contextmanager
def running_sandbox(home: Path) -> Iterator[KallyAISandbox]:
    """Serve a sandbox of its own, in a thread, while the block runs; `home` is for the data of a kallyai-mcp server."""
    app = create_app(speed=_AT_ONCE)
    try:
        with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(running(app)) as url:
            yield KallyAISandbox(app, url, home)
    finally:
        app.state.sandbox.close()
