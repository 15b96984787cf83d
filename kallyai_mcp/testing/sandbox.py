"""The sandbox of one test: its address and account for the agent, its lines, and the calls that were placed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from anyio.from_thread import start_blocking_portal

from kallyai_mcp.sandbox import call_table
from kallyai_mcp.sandbox.app import SandboxApp, create_app
from kallyai_mcp.sandbox.call_table import IN_PROGRESS, Call
from kallyai_mcp.sandbox.serve import running
from kallyai_mcp.testing.line import Line, check_number
from kallyai_mcp.testing.placed_call import PlacedCall
from kallyai_mcp.testing.story import tell

__tracebackhide__ = True  # pytest shows a failed assertion at the line of the test

_AT_ONCE = 1e9
"""The speed at which a call of several minutes lasts less than a microsecond."""


class KallyAISandbox:
    """A KallyAI for one test, signed in, by default as an account with 27 calls left.

    Args:
        app: The sandbox's application.
        url: The URL at which it is served.
        home: The folder for the data of a kallyai-mcp server (`KALLYAI_HOME`).
        account_id: The sandbox's account that is signed in.

    Attributes:
        url: The base URL of the API, without a slash at its end.
        access_token: An access token of the account, with all scopes.
        env: Variables to add to the environment of the server's process: the API's URL, the access token, a folder of
            its own, and `KALLYAI_CONFIRM=never`. To test consent, set `KALLYAI_CONFIRM` to `always`.
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
            return [_placed_call(call, has_ended=call.has_ended(now)) for call in call_table.all_calls(db)]

    def assert_called_once(self, number: str) -> PlacedCall:
        """Check that exactly one call was placed to this number (E.164).

        Returns:
            The call, for more checks.

        Raises:
            AssertionError: There was no such call, or there were several; the message tells what happened.
            ValueError: The number is not in E.164.
        """
        check_number(number)
        to_number = [call for call in self.calls if call.number == number]
        if len(to_number) != 1:
            self._fail(f"Exactly one call to {number} was expected, but {_placed(len(to_number))} to it.")
        return to_number[0]

    def assert_not_called(self, number: str | None = None) -> None:
        """Check that no call was placed; with `number`, that none was placed to it.

        Raises:
            AssertionError: A call was placed; the message tells what happened.
            ValueError: The number is not in E.164.
        """
        if number is not None:
            check_number(number)
        found = [call for call in self.calls if number in (None, call.number)]
        if found:
            self._fail(f"No call{f' to {number}' if number else ''} was expected, but {_placed(len(found))}.")

    def assert_consented(self) -> None:
        """Check that the user agreed to each placed call, before it was placed.

        The audit trail of kallyai-mcp shows it. So the server must have run with `env`, and must have asked the user
        (`KALLYAI_CONFIRM`).

        Raises:
            AssertionError: A call was placed without the user's consent, or no call at all; the message tells what
                happened.
        """
        from kallyai_mcp.testing.consents import GIVEN, consents_of

        calls = self.calls
        if not calls:
            self._fail("The user's yes to a call was expected, but no call was placed.")
        by_key = consents_of(self.env)
        consents = {call.call_id: how for call in calls if (how := by_key.get(call.idempotency_key or ""))}
        without = [call for call in calls if consents.get(call.call_id) not in GIVEN]
        if without:
            self._fail(f"The user's yes to each call was expected, but {_placed(len(without))} without it.", consents)

    def _fail(self, what: str, consents: dict[str, str] | None = None) -> NoReturn:
        raise AssertionError("\n".join([what, *tell(self.calls, list(self._sandbox.refused), consents)]))


def _placed(number: int) -> str:
    return {0: "no call was placed", 1: "1 call was placed"}.get(number, f"{number} calls were placed")


def _placed_call(call: Call, *, has_ended: bool) -> PlacedCall:
    return PlacedCall(
        number=call.submission["respondent_phone"],
        submission=call.submission,
        status=call.status if has_ended else IN_PROGRESS,
        highlights=call.highlights if has_ended else None,
        transcript=tuple((entry["speaker"], entry["content"]) for entry in call.transcript or () if has_ended),
        calendar=call.calendar if has_ended else None,
        idempotency_key=call.idempotency_key,
        call_id=call.call_id,
        started_at=call.started_at,
    )


@contextmanager
def running_sandbox(home: Path) -> Iterator[KallyAISandbox]:
    """Serve a sandbox of its own, in a thread, while the block runs.

    Args:
        home: The folder for the data of a kallyai-mcp server (`KALLYAI_HOME`).
    """
    app = create_app(speed=_AT_ONCE)
    try:
        with start_blocking_portal("asyncio") as portal, portal.wrap_async_context_manager(running(app)) as url:
            yield KallyAISandbox(app, url, home)
    finally:
        app.state.sandbox.close()
