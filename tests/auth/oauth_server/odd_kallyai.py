"""A service that behaves unlike the sandbox, in ways that the reference allows."""

from typing import Any

from starlette.requests import Request

from tests.auth.oauth_server.deployment import Deployment, User, answer_in, next_url


class OddKallyAI:
    """A service whose tokens name no account, and which accepts its codes and refresh tokens more than once."""

    def __init__(self) -> None:
        self.scope: str | None = None
        self.refresh_token: str | None = "kept"
        self.given = 0

    def __call__(self, _: Request) -> tuple[int, Any]:
        self.given += 1
        answer = {"access_token": f"opaque-{self.given}", "refresh_token": self.refresh_token, "scope": self.scope}
        return 200, {name: value for name, value in answer.items() if value is not None}

    async def code(self, server: Deployment, user: User, client_id: str) -> str:
        """The code for an authorization request, with the service's own pages left out."""
        allowed = await user.press(await user.open(server.authorize_url(client_id)), "allow")
        state = answer_in(next_url(allowed))["state"]
        return answer_in(next_url(await user.open(f"{server.url}/oauth/callback?code=its-own&state={state}")))["code"]
