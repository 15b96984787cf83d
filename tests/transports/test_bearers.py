"""How often new bearer tokens are checked for those who send wrong ones."""

import anyio
import anyio.lowlevel
import pytest
from mcp.server.auth.provider import AccessToken

from kallyai_mcp.api.errors import UnauthorizedError
from kallyai_mcp.auth.caller_tokens import CallerVerifier
from kallyai_mcp.clock import Clock
from kallyai_mcp.transports.bearers import (
    CONCURRENT_CHECKS,
    TURN_SECONDS,
    BearerCheck,
    Bearers,
    TooManyWrongError,
)

WRONG, TURNS = 20, 5
"""The free wrong tokens of a minute, and the checks of a second after them."""

HERE, ELSEWHERE = "192.0.2.1", "192.0.2.2"


class JumpingClock(Clock):
    """A clock that a sleep sets forward."""

    passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += seconds
        await anyio.lowlevel.checkpoint()


class Checks:
    """A KallyAI that knows the tokens that begin with "good", and the tokens that it was asked
    for.
    """

    def __init__(self) -> None:
        self.clock = JumpingClock()
        self.asked: list[str] = []
        verifier = CallerVerifier(self._ask, self.clock.monotonic)
        check = BearerCheck(verifier, verifier.is_known, verifier.is_refused)
        self.bearers = Bearers(check, self.clock)

    async def _ask(self, bearer: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.asked.append(bearer)
        if not bearer.startswith("good"):
            raise UnauthorizedError("No", code="unauthorized")

    async def send(self, bearer: str, network: str = HERE) -> AccessToken | str | None:
        """What comes of a token: its content, None, or "429"."""
        try:
            return await self.bearers.verify(bearer, network)
        except TooManyWrongError:
            return "429"

    async def send_wrong(self, number: int) -> list[object]:
        """What comes of so many different wrong tokens that are sent at once."""
        answers: list[object] = []

        async def send(token: str) -> None:
            answers.append(await self.send(token))

        async with anyio.create_task_group() as tasks:
            for each in range(number):
                tasks.start_soon(send, f"bad-{self.clock.passed}-{each}")
        return answers


@pytest.fixture
def checks() -> Checks:
    return Checks()


async def test_a_good_token_passes_sixty_wrong_ones(checks: Checks) -> None:
    wrong = await checks.send_wrong(60)
    good = await checks.send("good")

    assert set(wrong) <= {None, "429"}
    assert isinstance(good, AccessToken)


async def test_a_new_token_passes_wrong_ones_that_wait(checks: Checks) -> None:
    answers: list[object] = []

    async def send_good() -> None:
        answers.append(await checks.send("good"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(checks.send_wrong, 30)
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(send_good)

    assert isinstance(answers[0], AccessToken)


async def test_the_checks_of_a_network_are_bounded(checks: Checks) -> None:
    answers = await checks.send_wrong(1000)
    elsewhere = await checks.send("good", ELSEWHERE)
    seconds = checks.clock.passed + 1

    assert len(checks.asked) - 1 <= WRONG + CONCURRENT_CHECKS + TURNS * seconds
    assert answers.count("429") == 1001 - len(checks.asked)
    assert checks.clock.passed <= TURN_SECONDS + CONCURRENT_CHECKS
    assert isinstance(elsewhere, AccessToken)


async def test_a_repeated_wrong_token_takes_no_turn(checks: Checks) -> None:
    answers = [await checks.send("bad") for _ in range(100)]

    assert answers == [None] * WRONG + ["429"] * 80
    assert checks.asked == ["bad"]
    assert checks.clock.passed == 0


async def test_a_malformed_token_is_never_checked(checks: Checks) -> None:
    for malformed in ("", "two words", "töken", "a\tb"):
        assert await checks.send(malformed) is None

    assert checks.asked == []


async def test_the_limit_is_logged_once_a_minute(
    checks: Checks, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        for _ in range(100):
            await checks.send("bad")
        checks.clock.passed += 60

    assert caplog.text.count("too many wrong tokens") == len(caplog.records) == 2
    assert "bad" not in caplog.text
