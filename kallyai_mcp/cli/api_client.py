"""The API client that the settings lead to."""

from typing import TYPE_CHECKING

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.cli.embedded_sandbox import EmbeddedSandbox
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI, TokenSource


def open_api(
    settings: Settings,
    tokens: "TokenSource | None" = None,
    *,
    sandbox: EmbeddedSandbox | None = None,
    retry_backoff: float = 0.5,
) -> "KallyAI":
    """Create an API client; httpx is imported now and not before.

    Args:
        settings: Where KallyAI is.
        tokens: Signs the requests; None for a client that only signs in.
        sandbox: Takes the place of the settings' KallyAI.
        retry_backoff: The waits between two tries are multiples of it, in seconds.

    Raises:
        KallyAIError: The environment has something that can't be used, such as a malformed proxy.
    """
    from kallyai_mcp.api.client import KallyAI

    try:
        return KallyAI(
            settings.api_url if sandbox is None else sandbox.URL,
            tokens=tokens,
            user_agent=settings.user_agent,
            app=None if sandbox is None else sandbox.app,
            retry_backoff=retry_backoff,
        )
    except ValueError as error:
        raise KallyAIError(str(error), code="bad_environment") from None
