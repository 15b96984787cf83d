"""What this server stores of hosted sign-ins, for all workers, as shared values of the ledger."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from kallyai_mcp.auth.tokens import REVOKED_SIGN_IN

REFRESH_SECONDS = 90 * 24 * 3600.0
"""How long an unused refresh token is valid; what is stored of a sign-in lasts as long."""

_GENERATION = "oauth_generation"
"""The kind of the shared values that have the newest generation of each family."""

_REGISTRATION = "oauth_registration"
"""The kind of the shared values that have registrations of old keys, sealed anew."""


_AFTER_DAY = "\n"
"""What stands between the day and the name of an app; no name has it."""


@dataclass(frozen=True)
class App:
    """An app that was connected: its name, and the day since when, in ISO 8601; "" if unknown."""

    name: str
    since: str


@dataclass(frozen=True, repr=False)
class Stored:
    """The stored facts; each raises `KallyAIError` when the database can't be used.

    The fields are the functions of `shared_values`: `put` returns the value before.
    """

    put: Callable[[str, str, str, float], Awaitable[str | None]]
    get: Callable[[str, str], Awaitable[str | None]]
    all_of: Callable[[str], Awaitable[Mapping[str, str]]]

    async def revoke(self, family: str) -> None:
        """Remember that all codes and tokens of one consent are revoked."""
        await self.put(REVOKED_SIGN_IN, family, "1", REFRESH_SECONDS)

    async def is_revoked(self, family: str) -> bool:
        """Whether the codes and tokens of one consent are revoked."""
        return await self.get(REVOKED_SIGN_IN, family) is not None

    async def is_newest(self, family: str, generation: int) -> bool:
        """Whether no later generation of a family is known, nor this one; from now on it is.

        Of several requests with one code or token, only the first that gets here is told so.
        """
        before = await self.put(_GENERATION, family, str(generation), REFRESH_SECONDS)
        return before is None or int(before) < generation

    async def keep_registration(self, digest: str, sealed: str) -> None:
        """Keep a registration that is sealed anew, under the digest of its client_id."""
        await self.put(_REGISTRATION, digest, sealed, REFRESH_SECONDS)

    async def registration(self, digest: str) -> str | None:
        """The registration that was sealed anew; None if there is none."""
        return await self.get(_REGISTRATION, digest)

    async def add_app(self, browser: str, family: str, app: App) -> None:
        """List an app among those that were connected in a browser."""
        value = f"{app.since}{_AFTER_DAY}{app.name}"
        await self.put(_apps_of(browser), family, value, REFRESH_SECONDS)

    async def renew_sign_in(self, account: str, family: str, browser: str) -> None:
        """Keep what is stored of a sign-in as long as its new refresh token lasts."""
        await self.put(_sign_ins_of(account), family, browser, REFRESH_SECONDS)
        await self._renew_app(browser, family)

    async def sign_ins(self, account: str) -> Mapping[str, str]:
        """The browsers that an account has signed in with, by the family of the tokens."""
        return await self.all_of(_sign_ins_of(account))

    async def end_sign_ins(self, account: str) -> int:
        """Revoke all sign-ins of an account, and delete what else is stored of them; returns how
        many there were.
        """
        known = await self.sign_ins(account)
        for family, browser in known.items():
            await self.revoke(family)
            await self.remove_app(browser, family)
            await self.put(_GENERATION, family, "", 0)
            await self.put(_sign_ins_of(account), family, "", 0)
        return len(known)

    async def _renew_app(self, browser: str, family: str) -> None:
        """Keep an app in the list of its browser, if it is there."""
        value = await self.get(_apps_of(browser), family)
        if value is not None:
            await self.put(_apps_of(browser), family, value, REFRESH_SECONDS)

    async def remove_app(self, browser: str, family: str) -> None:
        """Take an app from the list of a browser."""
        await self.put(_apps_of(browser), family, "", 0)

    async def apps(self, browser: str) -> Mapping[str, App]:
        """The apps that are connected in a browser, by the family of their tokens."""
        stored = await self.all_of(_apps_of(browser))
        return {family: _app(value) for family, value in stored.items()}


def _app(value: str) -> App:
    """An app as it is stored; what an older version has stored is only its name."""
    since, separator, name = value.partition(_AFTER_DAY)
    return App(name, since) if separator else App(value, "")


def _sign_ins_of(account: str) -> str:
    """The kind of the shared values that have the sign-ins of one account: one value for each."""
    return f"oauth_sign_ins {account}"


def _apps_of(browser: str) -> str:
    """The kind of the shared values that have the apps of one browser: one value for each."""
    return f"oauth_apps {browser}"
