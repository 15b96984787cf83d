"""The list of the apps that were connected in a browser, where they are disconnected."""

import json
import re
import sqlite3
from contextlib import closing

import anyio.to_thread
import pytest

from tests.auth.oauth_server.deployment import OLD_KEY, Deployment, User, deploy, opened, sign_in
from tests.cli.machine import run_in_process
from tests.processes import free_port
from tests.transports.http_server import RunningSandbox

DAY = 24 * 3600
DAYS_OF_TOKENS = 80


async def listed(server: Deployment, user: User, name: str = "Test Client") -> int:
    """How many apps with that name the page of the server lists in the user's browser."""
    return (await user.open(server.url)).text.count(name)


def let_days_pass(sandbox: RunningSandbox, days: int) -> None:
    """Let days pass for tokens, and for what the server has stored in its file."""
    sandbox.clock.advance(seconds=days * DAY)
    with closing(sqlite3.connect(sandbox.home / "ledger.db")) as database, database:
        database.execute("UPDATE shared_values SET expires_at = expires_at - ?", (days * DAY,))


async def test_thirteen_apps_can_be_disconnected(server: Deployment, user: User) -> None:
    client = await server.new_client()
    signed_in = [await sign_in(server, user, client) for _ in range(13)]
    before = await listed(server, user)
    await user.press(await user.open(server.url), "")
    used = [(await server.use(tokens["access_token"])).status_code for tokens in signed_in]

    assert (before, await listed(server, user)) == (13, 0)
    assert used == [401] * 13


async def test_one_of_two_apps_is_disconnected(server: Deployment, user: User) -> None:
    client = await server.new_client()
    signed_in = [await sign_in(server, user, client) for _ in range(2)]
    page = await user.open(server.url)
    first, second = re.findall(r'name="app" value="(\w+)"', page.text)
    await user.press(page, first)
    left = re.findall(r'name="app" value="(\w+)"', (await user.open(server.url)).text)
    used = [(await server.use(tokens["access_token"])).status_code for tokens in signed_in]

    assert "since " in page.text
    assert left == [second]
    assert sorted(used) == [200, 401]


async def test_an_app_can_be_disconnected_after_months(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    for _ in range(3):
        let_days_pass(sandbox, DAYS_OF_TOKENS)
        tokens |= (await server.renew(tokens)).json()
    before = await server.use(tokens["access_token"])
    await user.press(await user.open(server.url), "")
    after = await server.use(tokens["access_token"])

    assert [before.status_code, after.status_code] == [200, 401]


async def test_an_app_unused_for_months_is_not_listed(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    await sign_in(server, user)
    let_days_pass(sandbox, 91)

    assert await listed(server, user) == 0


async def test_an_app_that_revoked_itself_is_not_listed(server: Deployment, user: User) -> None:
    tokens = await sign_in(server, user)
    form = {"token": tokens["refresh_token"], "client_id": tokens["client_id"]}
    await server.post("revoke", form)

    assert await listed(server, user) == 0


async def test_a_forgotten_account_is_disconnected(
    sandbox: RunningSandbox, server: Deployment, user: User
) -> None:
    tokens = await sign_in(server, user)
    account = opened(server, tokens["access_token"])["subject"]
    words = ("admin", "forget", account, "--yes", "--json")
    done = await anyio.to_thread.run_sync(
        lambda: run_in_process(sandbox.home, *words, API_URL=sandbox.url)
    )

    assert json.loads(done.stdout)["deleted"]["sign_ins"] >= 1
    assert (await server.use(tokens["access_token"])).status_code == 401
    assert await listed(server, user) == 0


async def test_the_list_of_apps_outlasts_its_cookies_key(
    sandbox: RunningSandbox, user: User
) -> None:
    port = free_port()
    async with deploy(sandbox, SECRET_KEYS=OLD_KEY, port=port) as server:
        await sign_in(server, user)
    async with deploy(sandbox, port=port) as server:
        await sign_in(server, user)

        assert await listed(server, user) == 2


@pytest.mark.parametrize("forged", ["", "x", "v1.eA"])
async def test_a_browser_with_a_forged_id_gets_another(server: Deployment, forged: str) -> None:
    async with User() as one, User() as other:
        for user in (one, other):
            user.http.cookies.set("kallyai-browser", forged, "127.0.0.1", "/")
            await sign_in(server, user)

            assert await listed(server, user) == 1


async def test_each_visit_renews_the_cookie_of_the_list(server: Deployment, user: User) -> None:
    await sign_in(server, user)
    page = await user.open(server.url)
    [cookie] = page.headers.get_list("set-cookie")

    assert cookie.startswith("kallyai-browser=")
    assert f"Max-Age={400 * DAY};" in cookie
