"""The sandbox of one test: its address and account for the agent, its lines, and the calls that
were placed.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import date, datetime, time
from operator import itemgetter
from pathlib import Path
from typing import Any, NoReturn

from anyio.from_thread import start_blocking_portal
from pydantic import ValidationError

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.lines import Lines
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.sandbox.simulator.scenario import E164, LineScript, RefusalCode
from kallyai_mcp.sandbox.simulator.scenario_file import expected

__tracebackhide__ = True  # pytest shows an error at the line of the test that calls a method here

AT_ONCE = 1e9
"""The speed at which a call of several minutes lasts less than a microsecond."""

_MOST_CALLS = 10_000

_KEPT = ("turns", "knows", "loses_the_answer", "seconds")
"""The settings of a call that stay when a test sets what the callee does."""


class Line:
    """One number.

    Each method sets what happens in calls to it, and returns the line:
    `line.is_busy().then.books()`. Until a test sets something, the callee agrees to the request. A
    value that is not possible raises `ValueError`, which says what is possible. `index` is the call
    for which the methods set something, from 0.
    """

    def __init__(self, number: str, lines: Lines, *, index: int = 0) -> None:
        self.number = _checked(number)
        self._lines = lines
        self._index = index

    def books(
        self,
        *,
        at: str | time | None = None,
        on: str | date | None = None,
        ignores_instructions: bool = False,
    ) -> "Line":
        """The callee agrees to the request.

        With `at` ("20:30") or `on` ("2026-11-27"), every other time or day is taken, and this one
        is offered instead. With `ignores_instructions`, KallyAI agrees to it even without
        `accept_other_time`, to test how the agent reports it; by default, nothing is booked then.
        """
        return self._set(does="agrees", at=at, on=on, ignores_instructions=ignores_instructions)

    def declines(self) -> "Line":
        """The callee declines: the call is a success, and nothing is booked."""
        return self._set(does="declines")

    def answers(self, answer: str) -> "Line":
        """The callee answers any request with these words, and nothing is booked."""
        return self._set(does="answers", answer=answer)

    def knows(self, **facts: str | None) -> "Line":
        """The callee knows this, by topic (`hours="We close at 9 PM."`); None: not that.

        It answers questions, and tasks that begin "Ask". What it does not know, it says so.
        """
        return self._set(knows=facts)

    def says(self, *turns: str) -> "Line":
        """The callee says these words, one turn each, before it answers the request."""
        return self._set(turns=turns)

    def is_busy(self) -> "Line":
        """The line is busy."""
        return self._set(does="is_busy")

    def does_not_answer(self) -> "Line":
        """Nobody answers."""
        return self._set(does="does_not_answer")

    def goes_to_voicemail(self) -> "Line":
        """An answering machine takes the call."""
        return self._set(does="goes_to_voicemail")

    def refuses(self, code: RefusalCode) -> "Line":
        """KallyAI refuses the call with this error code of the reference, and nobody is called."""
        return self._set(refusal=code)

    def loses_the_answer(self) -> "Line":
        """The call is placed, and the connection is cut before the client gets the answer."""
        return self._set(loses_the_answer=True)

    def takes(self, seconds: float) -> "Line":
        """The call lasts this many seconds by the clock."""
        return self._set(seconds=seconds)

    @property
    def then(self) -> "Line":
        """The line, for the next call to it: methods before `.then` set one call only."""
        return Line(self.number, self._lines, index=self._index + 1)

    def _set(self, **fields: Any) -> "Line":
        calls = self._calls_so_far()
        call = calls[self._index]
        if "does" in fields:  # it replaces what was set for this call, and for those after it
            call = {key: call[key] for key in call.keys() & _KEPT}
            del calls[self._index + 1 :]
        calls[self._index] = call | fields
        first, *others = calls
        try:
            script_of_all = LineScript.model_validate({**first, "then": others})
        except ValidationError as error:
            raise ValueError(_what_is_possible(error)) from None
        self._lines.set(self.number, script_of_all)
        return self

    def _calls_so_far(self) -> list[dict[str, Any]]:
        """What was set for each call to the number, up to the one of this line or a later one."""
        script = self._lines.of(self.number).model_dump(
            exclude_unset=True, include=set(LineScript.model_fields)
        )
        calls: list[dict[str, Any]] = [script, *script.pop("then", ())]
        missing = self._index + 1 - len(calls)
        return calls + [{} for _ in range(missing)]


@dataclass(frozen=True)
class PlacedCall:
    """A call that was placed, even if its client did not get the answer.

    `submission` is the reference's "SubmissionPayload", as it was sent, and `status` the
    reference's, or `in_progress`. Until the call has ended, `highlights` and `calendar` (the
    iCalendar file of what was booked) are None, and `transcript` is empty; it has (speaker, words),
    and the speaker is `AI` or `HUMAN`.
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

    @classmethod
    def of(cls, seen: Mapping[str, Any]) -> "PlacedCall":
        """The call with what a client sees of it."""
        own = {field.name: seen[field.name] for field in fields(cls) if field.name in seen}
        said = tuple((entry["speaker"], entry["content"]) for entry in seen["transcript"] or ())
        return cls(**own | {"number": seen["submission"]["respondent_phone"], "transcript": said})


class KallyAISandbox:
    """A KallyAI for one test, at `url`, signed in, by default as an account with 27 calls left.

    `env` is to be added to the environment of the server's process: the API's URL, the access
    token, a folder of its own, and `KALLYAI_CONFIRM=never`. To test consent, set `KALLYAI_CONFIRM`
    to `always`.
    """

    def __init__(
        self, app: SandboxApp, url: str, home: Path, *, account_id: str = "acct-personal"
    ) -> None:
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
            return [PlacedCall.of(call.seen_at(now)) for call in call_table.all_calls(db)]

    def _calls_to(self, number: str) -> list[PlacedCall]:
        return [call for call in self.calls if call.number == number]

    def assert_called_once(self, number: str) -> PlacedCall:
        """Check that exactly one call was placed to this number (E.164), and return it."""
        found = self._calls_to(number)
        if len(found) != 1:
            self._fail(f"1 call to {number} was expected, but {len(found)} were placed to it.")
        return found[0]

    def assert_not_called(self, number: str | None = None) -> None:
        """Check that no call was placed; with `number` (E.164), that none was placed to it."""
        found = self.calls if number is None else self._calls_to(_checked(number))
        if found:
            callee = number or "anybody"
            self._fail(f"No call to {callee} was expected, but {len(found)} were placed.")

    def assert_consented(self) -> None:
        """Check that the user agreed to each placed call before it was placed, and that there was
        one.

        The audit trail of kallyai-mcp shows it. So the server must have run with `env`, and must
        have asked the user: with `KALLYAI_CONFIRM=always`.
        """
        calls = self.calls
        agreed = _agreed_keys(self.env)
        without = [call for call in calls if call.idempotency_key not in agreed]
        if without or not calls:
            self._fail(
                f"The user's yes to each call was expected; {len(calls)} were placed, "
                f"{len(without)} of them without "
                "it. The server asks before each call with KALLYAI_CONFIRM=always."
            )

    def _fail(self, what: str) -> NoReturn:
        """Raise an `AssertionError` that tells every call that was asked for, in order, with its
        outcome.
        """
        placed = [
            (each.started_at, _line_of(each.submission, each.status, each.highlights))
            for each in self.calls
        ]
        refused = [
            (each.at, _line_of(each.submission, each.code, each.reason))
            for each in self._sandbox.refused_calls()
        ]
        lines = [line for _, line in sorted([*placed, *refused], key=itemgetter(0))]
        raise AssertionError("\n".join([what, "The agent asked for:", *(lines or ["  no call"])]))


def _line_of(submission: Mapping[str, Any], status: str, words: str | None) -> str:
    return (
        f"  {submission.get('respondent_phone')}, “{submission.get('task_description')}”: "
        f"{status}: {words}"
    )


_PARAMETERS = {"refusal": "code"}
"""The parameter of a method, by the key of a scenario, where it has another name."""


def _what_is_possible(invalid: ValidationError) -> str:
    """The first value that is not possible, the parameter that has it, and what is possible."""
    wrong = invalid.errors()[0]
    keys = [part for part in wrong["loc"] if isinstance(part, str) and part != "then"]
    parameter = _PARAMETERS.get(keys[0], keys[0])
    return f"{parameter}={wrong['input']!r}: {expected(wrong['type'], wrong['msg'])}"


def _checked(number: str) -> str:
    if not re.fullmatch(E164, str(number)):
        raise ValueError(f"{number!r} is not a number in E.164, such as '+12025550142'")
    return number


def _agreed_keys(env: Mapping[str, str]) -> set[str | None]:
    """The idempotency keys of the calls that the user agreed to, by the audit trail of a server
    with `env`.
    """
    from kallyai_mcp.calls.ledger import rows
    from kallyai_mcp.cli.connection import Connection
    from kallyai_mcp.settings import Settings

    async def read() -> set[str | None]:
        async with Connection(Settings.from_env(env)) as connection:
            account = await connection.account_key()
            ledger = connection.ledger()
            keys: set[str | None] = set()
            for entry in filter(_has_yes, await ledger.read(rows.audit, account, _MOST_CALLS)):
                record = await ledger.read(rows.find, account, entry["tracking_id"])
                if record is not None:
                    keys.add(record.idempotency_key)
            return keys

    # In this thread, the test may have an event loop of its own.
    with start_blocking_portal() as portal:
        return portal.call(read)


def _has_yes(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the audit trail is of a call that the user has agreed to."""
    if entry["how"] is None or entry["tracking_id"] is None:
        return False
    return str(entry["how"]).startswith(("form", "confirmation"))


@contextmanager
def running_sandbox(
    home: Path,
    *,
    app: SandboxApp | None = None,
    account_id: str = "acct-personal",
    port: int = 0,
) -> Iterator[KallyAISandbox]:
    """Serve a sandbox of its own, in a thread, while the block runs; `home` is for the data of a
    kallyai-mcp server.

    `app` is of `create_app`, and is closed at the end; for None, it is one whose calls end at once.
    Port 0 is any free one.
    """
    served = create_app(speed=AT_ONCE) if app is None else app
    try:
        with (
            start_blocking_portal("asyncio") as portal,
            portal.wrap_async_context_manager(running(served, port=port)) as url,
        ):
            yield KallyAISandbox(served, url, home, account_id=account_id)
    finally:
        served.state.sandbox.close()
