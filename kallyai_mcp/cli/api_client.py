"""Creates the API client from the settings."""

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
    """Create an API client. httpx2 is imported here, and not at the start of the program.

    Args:
        settings: The API's URL and the `User-Agent`.
        tokens: The source of the access tokens; None for a client that only signs in.
        sandbox: Use this sandbox, and not the URL of the settings.
        retry_backoff: The waits between two tries are multiples of it, in seconds.

    Raises:
        KallyAIError: A variable of the environment can't be used, such as a malformed proxy (code `bad_environment`).
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
