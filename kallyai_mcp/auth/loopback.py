"""The reference's "CLI Authentication": a listener on this machine that the sign-in page sends the browser back to."""

import hmac
import re
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Literal, Self
from urllib.parse import parse_qs, urlsplit

import anyio

from kallyai_mcp.api.models import TokenGrant
from kallyai_mcp.auth.errors import SignInRefusedError, SignInTimeoutError, WrongAddressError
from kallyai_mcp.auth.loopback_listener import Reply, Request, listening
from kallyai_mcp.auth.pages import HEADERS, Kind, page

SIGN_IN_SECONDS = 300.0
"""How long a link works."""

_LINGER_SECONDS = 3.0
_TOKEN = re.compile(r"[\x21-\x7e]{1,16384}")
_ERROR = re.compile(r"[a-z_]{1,40}")
_SECONDS = re.compile(r"[0-9]{1,9}")

_Verdict = Literal["taken", "wrong", "used", "late"]


class LoopbackSignIn:
    """One sign-in through the browser, from the link to the tokens; listens for as long as the context is open.

    The page's tokens arrive in an address, which is answered with a redirect to a clean one, so that they stay in
    neither the address bar nor the history. When the context is left after that, it stays a moment until the browser
    has shown the page it was sent to.

    Args:
        auth_url: Makes the address of the sign-in page from our redirect URI and the state that must come back.
        timeout: How long the link works, in seconds from entering the context.
        linger: The most seconds to wait for the browser on the way out.

    Attributes:
        redirect_uri: Where the browser comes back to: exactly `http://127.0.0.1:PORT`.
        link: What the user opens.
    """

    redirect_uri: str
    link: str

    def __init__(
        self,
        auth_url: Callable[[str, str], str],
        timeout: float = SIGN_IN_SECONDS,
        *,
        linger: float = _LINGER_SECONDS,
    ) -> None:
        self._auth_url = auth_url
        self._timeout = timeout
        self._linger = linger
        self._state = secrets.token_urlsafe(32)
        self._answer: TokenGrant | SignInRefusedError | None = None
        self._answered = anyio.Event()
        self._page: Kind | None = None
        self._shown = anyio.Event()
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Listen.

        Raises:
            OSError: There is no port to listen on.
        """
        self._deadline = anyio.current_time() + self._timeout
        port = await self._open.enter_async_context(listening(self._reply))
        self._hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.redirect_uri = f"http://{self._hosts[0]}"
        self.link = self._auth_url(self.redirect_uri, self._state)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let the browser have its page, and stop listening."""
        try:
            if self._page is not None and (exc_type is None or issubclass(exc_type, Exception)):
                with anyio.move_on_after(self._linger):
                    await self._shown.wait()
        finally:
            await self._open.aclose()

    async def grant(self) -> TokenGrant:
        """Wait for the user to come back from the sign-in page.

        Returns:
            What the page sent.

        Raises:
            SignInRefusedError: The page sent an error, as when the user cancels.
            SignInTimeoutError: Nobody came back in time.
        """
        with anyio.move_on_after(self._deadline - anyio.current_time()):
            await self._answered.wait()
        if self._answer is None:
            raise SignInTimeoutError
        if isinstance(self._answer, SignInRefusedError):
            raise self._answer
        return self._answer

    def accept(self, pasted: str) -> None:
        """Take the address that the sign-in page sent the browser to, pasted by a user whose browser is elsewhere.

        Args:
            pasted: The whole address, which starts with `redirect_uri`.

        Raises:
            WrongAddressError: It is another address, or one of another sign-in. This one goes on waiting.
        """
        text = "".join(pasted.split()).strip("\"'<>")
        try:
            parts = urlsplit(text if "://" in text else f"http://{text}")
        except ValueError:
            raise WrongAddressError("That is not an address.") from None
        if parts.scheme != "http" or parts.netloc.lower() not in self._hosts or parts.path not in ("", "/"):
            raise WrongAddressError(f"That is not the right address: it has to start with {self.redirect_uri}/?")
        verdict = self._take(parts.query)
        if verdict == "wrong":
            raise WrongAddressError("That address is incomplete, or of another sign-in. Copy the whole address bar.")
        if verdict in ("used", "late"):
            raise WrongAddressError("This sign-in is over already.")

    def _take(self, query: str) -> _Verdict:
        fields = _fields(query)
        # Checked first, so that nobody without the state learns anything.
        if fields is None or not hmac.compare_digest(fields.get("state", "").encode(), self._state.encode()):
            return "wrong"
        if self._answer is not None:
            return "used"
        if anyio.current_time() >= self._deadline:
            return "late"
        answer = _read(fields)
        if answer is None:
            return "wrong"
        self._answer = answer
        self._answered.set()
        return "taken"

    def _reply(self, request: Request) -> Reply:
        accepted = request.headers.get("accept-language", "")
        headers = {**HEADERS, "Content-Type": "text/html; charset=utf-8"}

        def show(status: int, kind: Kind, **more: str) -> Reply:
            return Reply(status, page(kind, accepted), headers | more)

        # A page elsewhere on the web can point a name of its own at 127.0.0.1; its requests carry that name.
        if request.headers.get("host", "").lower() not in self._hosts:
            return show(421, "host")
        shown = f"/{self._page}" if self._page else None
        if request.path not in ("/", shown):
            return show(404, "missing")
        if request.method != "GET":
            return show(405, "method", Allow="GET")
        if request.path == shown and self._page:
            return Reply(200, page(self._page, accepted), headers, self._shown.set)
        verdict = self._take(request.query)
        if verdict == "taken":
            self._page = "failed" if isinstance(self._answer, SignInRefusedError) else "done"
            return Reply(303, b"", {**HEADERS, "Location": f"/{self._page}"})
        return show({"wrong": 400, "used": 409, "late": 410}[verdict], verdict)


def _fields(query: str) -> dict[str, str] | None:
    """The parameters of `query` by name; None when one comes twice, or when there are too many."""
    try:
        values = parse_qs(query, keep_blank_values=True, max_num_fields=32, errors="strict")
    except ValueError:
        return None
    return {name: one[0] for name, one in values.items()} if all(len(one) == 1 for one in values.values()) else None


def _read(fields: dict[str, str]) -> TokenGrant | SignInRefusedError | None:
    """The answer in `fields`, whose state is right; None when it is none."""
    if "error" in fields:
        # Shown to a user and an agent, so anything that doesn't look like an error code is not passed on.
        error = fields["error"]
        return SignInRefusedError(error if _ERROR.fullmatch(error) else "no reason that could be shown")
    access_token, refresh_token = fields.get("access_token", ""), fields.get("refresh_token", "")
    if not _TOKEN.fullmatch(access_token) or (refresh_token and not _TOKEN.fullmatch(refresh_token)):
        return None
    expires_in = fields.get("expires_in", "")
    return TokenGrant.model_validate(
        {
            "access_token": access_token,
            "refresh_token": refresh_token or None,
            "scope": fields.get("scope") or None,
            **({"expires_in": int(expires_in)} if _SECONDS.fullmatch(expires_in) else {}),
        }
    )
