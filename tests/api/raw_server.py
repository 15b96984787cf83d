"""A client of a fake service, and what most tests of the client give it."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.api.client import KallyAI
from kallyai_mcp.api.errors import NotSignedInError
from kallyai_mcp.api.models import Submission
from tests.fake_service import CloseWithoutReading, FakeService, RawReply, answer

REFERENCE = Path(__file__).parent.parent / "reference"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.first-token.c2lnbmF0dXJl"
FRESH = "eyJhbGciOiJIUzI1NiJ9.fresh-token.c2lnbmF0dXJl"
USER_AGENT = "kallyai-mcp/0.0.0-test"
SUBMISSION = Submission(
    task_category="restaurant",
    task_description="Reserve table for 4",
    respondent_phone="+14155551234",
)


def reference(name: str) -> Any:
    return json.loads((REFERENCE / f"{name}.json").read_bytes())


DETAILS = answer(reference("call_details"), 201)
STATISTICS = answer(reference("statistics"))


class Tokens:
    """A token source that returns the first of the given tokens, and the next one after each
    rejection.
    """

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)
        self.rejected: list[str] = []

    async def access_token(self) -> str:
        return self.tokens[0]

    async def renew(self, rejected: str) -> str:
        self.rejected.append(rejected)
        if len(self.tokens) == 1:
            raise NotSignedInError("Sign in again")
        self.tokens.pop(0)
        return self.tokens[0]


@asynccontextmanager
async def client_and_server(
    *replies: RawReply | CloseWithoutReading, seconds: float = 10, **options: Any
) -> AsyncIterator[tuple[KallyAI, FakeService]]:
    """A client and its server, for at most `seconds`. Retries do not wait."""
    server = FakeService(*replies)
    given: dict[str, Any] = {
        "tokens": Tokens(TOKEN),
        "user_agent": USER_AGENT,
        "retry_backoff": 0,
    } | options
    only: BaseException
    try:
        with anyio.fail_after(seconds):
            async with anyio.create_task_group() as tasks:
                await server.start(tasks)
                async with aclosing(KallyAI(server.url, **given)) as client:
                    yield client, server
                tasks.cancel_scope.cancel()
            return
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        only = group.exceptions[0]
    raise only
