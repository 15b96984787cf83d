"""Every setting: environment variables with the prefix `KALLYAI_`, read once into one frozen
object.

That object is what the other parts get. A setting is declared here once, with what people are told
of it: `python -m tests.update` writes it into the docs, `server.json`, and `manifest.json`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal, get_args
from urllib.parse import urlsplit

from kallyai_mcp import __version__
from kallyai_mcp import setting_values as read
from kallyai_mcp.setting_values import About, Declaration, SettingsError
from kallyai_mcp.urls import check_base_url, is_loopback

TokenStoreChoice = Literal["auto", "keyring", "file"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]
"""Text for people, or one JSON object per line."""

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call. `auto`: only if the call has a risk flag."""

Auth = Literal["none", "secret", "caller", "oauth"]
"""Who may use the HTTP server: any client on this machine, clients with `mcp_token`, clients with a
KallyAI access token, or users who sign in here.
"""

WAIT_SECONDS = 45
"""How long a tool waits for a phone call to end if nobody sets it; every client allows that."""

WAIT_LIMIT = 1800
"""The most seconds that a tool waits: as long as the API client waits for a phone call."""

MOST_AT_ONCE = 5
"""The most candidates of an account that are called at a time, if all are asked."""

SERVER = "A server for others"
"""The section of the docs with the settings that only a server over HTTP needs."""

_account = partial(About, "The account and its files")
_calls = partial(About, "Calls")
_limits = partial(About, "Limits")
_server = partial(About, SERVER)
_program = partial(About, "Sandbox, start, and logs")


@dataclass(frozen=True, repr=False)  # a repr would show secrets
class Settings:
    """The checked settings.

    Each is annotated with the function that reads its value from the environment variable of its
    name, and with what people are told of it.
    """

    api_url: Annotated[
        str,
        check_base_url,
        _account("the address of KallyAI's API: https, or http on this machine"),
    ] = "https://api.kallyai.com"
    access_token: Annotated[
        str | None,
        read.token,
        _account("an access token in place of a sign-in; never stored", is_secret=True),
    ] = None
    token_store: Annotated[
        TokenStoreChoice,
        read.OneOf(TokenStoreChoice),
        _account(
            "where a sign-in is kept: `keyring`, `file`, or `auto`: the keyring if it can be used",
            title="Where the sign-in is kept",
        ),
    ] = "auto"  # noqa: S105 - the name of a store, not a secret
    home: Annotated[
        Path,
        read.folder,
        _account(
            "the whole path of the folder of the sign-in, the ledger, and the embedded sandbox",
            unset="the platform's data folder",
        ),
    ] = field(default_factory=read.default_home)
    keep_days: Annotated[
        float,
        read.Number(36500),
        _account("after how many days the ledger deletes a call", title="Days to remember calls"),
    ] = 90
    audit_days: Annotated[
        float | None,
        read.Number(36500),
        _account("after how many days the audit trail does", unset="`KALLYAI_KEEP_DAYS`"),
    ] = None
    user_agent: Annotated[
        str,
        read.header,
        _account("the `User-Agent` of requests to the API", unset="`kallyai-mcp` and its version"),
    ] = f"kallyai-mcp/{__version__}"
    wait_seconds: Annotated[
        float,
        read.Number(WAIT_LIMIT),
        _calls(
            f"how long a tool waits for a phone call to end, 0 to {WAIT_LIMIT}",
            title="Seconds to wait for a call",
        ),
    ] = WAIT_SECONDS
    same_call_seconds: Annotated[
        float,
        read.Number(86400),
        _calls("how long the same request gets the outcome of a call that reached somebody"),
    ] = 3600
    settle_seconds: Annotated[
        float,
        read.Number(86400),
        _calls("how long the server looks for a call after a lost answer; longer than calls last"),
    ] = 300
    late_seconds: Annotated[
        float, read.Number(86400), _calls("how late a scheduled call may be placed")
    ] = 1800
    at_once: Annotated[
        int,
        read.WholeNumber(1, MOST_AT_ONCE),
        _calls(
            f"how many candidates an account's lists call at a time, 1 to {MOST_AT_ONCE}, where "
            'all are asked (`until="all"`)'
        ),
    ] = 3
    confirm: Annotated[
        Confirm | None,
        read.OneOf(Confirm),
        _calls(
            "when the user is asked before a call: `auto` (when the call is risky), "
            "`always`, `never`",
            unset="`auto`; on the embedded sandbox `never`",
            title="Ask me before a call",
        ),
    ] = None
    """None means `auto`, but `never` on the embedded sandbox: `asks`."""
    disclosure: Annotated[
        bool,
        read.switch,
        _calls(
            "KallyAI is told to say first that it is an AI; `off`: it may not say it, which "
            "[many laws ask for](security.md#calling-people)",
            title="Say that it is an AI",
        ),
    ] = True
    calls_per_hour: Annotated[
        int | None,
        read.calls,
        _limits(
            "how many calls an account may place in any hour",
            unset="any number",
            title="Most calls in an hour",
        ),
    ] = None
    calls_per_day: Annotated[
        int | None,
        read.calls,
        _limits(
            "how many calls one account may place in any 24 hours",
            unset="any number",
            title="Most calls in 24 hours",
        ),
    ] = None
    calls_per_number: Annotated[
        int | None,
        read.calls,
        _limits(
            "how many calls may go to one number in any 24 hours",
            unset="any number",
            title="Most calls to one number in 24 hours",
        ),
    ] = None
    allow_numbers: Annotated[
        tuple[str, ...],
        read.numbers,
        _limits(
            "the only numbers or prefixes that may be called, in E.164, comma-separated",
            unset="all",
            example="+14155551234,+1415",
            title="Call only these numbers",
        ),
    ] = ()
    """Numbers and prefixes in E.164; empty for all."""
    deny_numbers: Annotated[
        tuple[str, ...],
        read.numbers,
        _limits(
            "numbers or prefixes that may not be called, even if they are allowed",
            unset="none",
            example="+1900",
            title="Never call these numbers",
        ),
    ] = ()
    stop_calls: Annotated[
        bool,
        read.switch,
        _limits("no call is placed; everything else works", title="Call nobody for now"),
    ] = False
    read_only: Annotated[
        bool,
        read.switch,
        _limits("an agent can only read calls, and no scheduled call is placed"),
    ] = False
    auth: Annotated[
        Auth,
        read.OneOf(Auth),
        _server(
            "who may use the server over HTTP: `none`, `secret`, `caller` or `oauth`; the "
            "default of `--auth`"
        ),
    ] = "none"
    mcp_token: Annotated[
        str | None,
        read.shared_secret,
        _server("the bearer that a client needs over HTTP; at least 16 characters", is_secret=True),
    ] = None
    database_url: Annotated[
        str | None,
        read.database_url,
        _server(
            "the PostgreSQL database (14 or newer) that workers or machines share",
            example="postgresql://user:password@host/kallyai",
            is_secret=True,
        ),
    ] = None
    """None for an SQLite file in `home`."""
    secret_keys: Annotated[
        tuple[bytes, ...],
        read.secret_keys,
        _server(
            "keys for what clients hold of this server: at least 32 random bytes each, in "
            "hexadecimal, comma-separated; the first encrypts, all decrypt. Needed where "
            "several processes have one ledger",
            is_secret=True,
        ),
    ] = ()
    """The first one encrypts, all of them decrypt."""
    public_url: Annotated[
        str | None,
        read.public_url,
        _server(
            "where clients find the HTTP server, for its metadata and links; needed with `oauth`",
            example="https://phone.example.com",
        ),
    ] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        read.networks,
        _server(
            "addresses and networks of your proxies, comma-separated, whose `X-Forwarded-"
            "For` is believed",
            unset="none",
            example="10.0.0.0/8",
        ),
    ] = ()
    allowed_hosts: Annotated[
        tuple[str, ...],
        read.hosts,
        _server(
            "more host names of the server, comma-separated, `:*` for any port: [when needed]"
            "(hosting.md#who-may-use-it)",
            unset="this machine's names",
            example="phone.example.com",
        ),
    ] = ()
    """`Host` headers, with `:*` for any port; so are the origins, which are `Origin` headers."""
    allowed_origins: Annotated[
        tuple[str, ...],
        read.origins,
        _server(
            "web pages that may use the server, comma-separated, `:*` for any port",
            unset="this machine's pages",
            example="https://app.example.com",
        ),
    ] = ()
    rate_limit: Annotated[
        str,
        read.rate,
        _server(
            "requests of one account over HTTP, and of one sign-in or address at each "
            "endpoint of the hosted sign-in; for each process"
        ),
    ] = "300/minute"
    finish_seconds: Annotated[
        float,
        read.Number(WAIT_LIMIT),
        _server(
            "how long a stopped `serve` over HTTP waits for answers that it owes; uvicorn's "
            "workers have `--timeout-graceful-shutdown`"
        ),
    ] = 1
    client_id: Annotated[
        str | None,
        read.token,
        _server("this server's OAuth client at KallyAI, for the hosted sign-in"),
    ] = None
    client_secret: Annotated[
        str | None, read.token, _server("the secret of that client", is_secret=True)
    ] = None
    sandbox: Annotated[
        bool,
        read.switch,
        _program(
            "calls are simulated on this computer: no account is needed, and nobody is called",
            extra="sandbox",
            title="Try it on the sandbox",
        ),
    ] = False
    fast_start: Annotated[
        bool,
        read.switch,
        _program("over stdio, first requests are answered before the whole program is imported"),
    ] = True
    log_level: Annotated[
        LogLevel,
        read.OneOf(LogLevel),
        _program(
            "how much is logged on stderr: `DEBUG`, `INFO`, `WARNING`, or `ERROR`",
            title="How much is logged",
        ),
    ] = "WARNING"
    log_format: Annotated[
        LogFormat,
        read.OneOf(LogFormat),
        _program("`text`, or `json` with one object on each line"),
    ] = "text"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the settings from `environ` (default: the environment of this process); raises
        `SettingsError`.

        An empty variable counts as not set. An unknown variable is ignored, unless its name is
        similar to a setting's.
        """
        known = {one.variable: one for one in declarations()}
        values = {}
        for name, text in read.given(os.environ if environ is None else environ).items():
            if name in known:
                values[known[name].name] = known[name].value(text)
            else:
                read.check_spelling(name, known)
        if "database_url" in values and "secret_keys" not in values:
            needs = "KALLYAI_DATABASE_URL needs KALLYAI_SECRET_KEYS, the same for all workers"
            raise SettingsError(f"{needs}; `{read.MAKE_KEY}` makes one.", setting="secret_keys")
        return cls(**values)

    @property
    def calls_nobody(self) -> bool:
        """Whether calls are simulated: a KallyAI on this machine is a sandbox."""
        return self.sandbox or is_loopback(urlsplit(self.api_url).hostname)

    @property
    def asks(self) -> Confirm:
        """When the user is asked before a call.

        The embedded sandbox calls nobody, and a test number should do the same at every hour.
        """
        if self.confirm is not None:
            return self.confirm
        return "never" if self.sandbox else "auto"


@cache
def declarations() -> tuple[Declaration, ...]:
    """Every setting, in the order of the docs."""
    found = []
    for each in fields(Settings):
        _, reader, described = get_args(each.type)
        found.append(Declaration(each.name, reader, described, getattr(Settings, each.name, None)))
    return tuple(found)


def about(name: str) -> About:
    """What people are told of the setting with this name."""
    return next(one.about for one in declarations() if one.name == name)
