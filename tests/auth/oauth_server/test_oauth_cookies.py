"""Under which name the cookie of a sign-in counts."""

import httpx2

from tests.auth.oauth_server.deployment import Deployment, User, deploy, flow_in
from tests.transports.http_server import RunningSandbox


def cookie_of(response: httpx2.Response) -> tuple[str, str]:
    """The name and the value of the cookie that a response sets."""
    [cookie] = response.headers.get_list("set-cookie")
    name, _, rest = cookie.partition("=")
    return name, rest.partition(";")[0]


async def test_an_attackers_renamed_cookie_does_not_count(server: Deployment, user: User) -> None:
    """Else a victim gets through KallyAI's sign-in for the attacker's client without consent."""
    async with User() as attacker:
        consent = await attacker.open(server.authorize_url(await server.new_client()))
        own_name, sealed = cookie_of(consent)
    callback = f"{server.url}/oauth/callback?code=x&state={flow_in(consent)}"
    opened = {
        name: (await user.http.get(callback, headers={"Cookie": f"{name}={sealed}"})).status_code
        for name in ("other", "kallyai-other", "kallyai-", own_name)
    }

    assert opened == {"other": 400, "kallyai-other": 400, "kallyai-": 400, own_name: 200}


async def test_over_https_only_a_host_cookie_counts(sandbox: RunningSandbox) -> None:
    async with (
        deploy(sandbox, PUBLIC_URL="https://phone.example.com") as server,
        httpx2.AsyncClient(follow_redirects=True) as browser,
    ):
        consent = await browser.get(server.authorize_url(await server.new_client()))
        own_name, sealed = cookie_of(consent)
        callback = f"{server.url}/oauth/callback?code=x&state={flow_in(consent)}"
        statuses = [
            (await browser.get(callback, headers={"Cookie": f"{name}={sealed}"})).status_code
            for name in (own_name, own_name.removeprefix("__Host-"))
        ]

    assert own_name == f"__Host-kallyai-{flow_in(consent)}"
    assert statuses == [200, 400]
