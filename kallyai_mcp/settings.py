"""Every setting: environment variables with the prefix `KALLYAI_`, read once into one frozen object."""

import dataclasses
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from kallyai_mcp import __version__
from kallyai_mcp import setting_values as values
from kallyai_mcp.urls import check_base_url

TokenStoreChoice = Literal["auto", "keyring", "file"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
LogFormat = Literal["text", "json"]
"""Text for people, or one JSON object per line."""

Confirm = Literal["auto", "always", "never"]
"""When to ask the user before a call. `auto`: only if the call has a risk flag."""

Auth = Literal["none", "secret", "caller", "oauth"]

LIVE_API_URL = "https://api.kallyai.com"
WAIT_LIMIT = 1800
"""The most seconds that a tool waits: as long as the API client waits for a phone call."""

PREFIX = "KALLYAI_"
_SIMILAR = 0.8
"""From which similarity on (0 to 1, of `difflib`) an unknown variable counts as a misspelled setting."""


class SettingsError(ValueError):
    """The value of a setting is not valid. The message is one line that names the setting and says what it takes."""


@dataclass(frozen=True, repr=False)
class Settings:
    """The checked settings.

    Each attribute is annotated with the function that reads its value from the environment variable `variable_of`; see
    `setting_values`.

    Attributes:
        api_url: The base URL of the API: https, or http on a loopback address.
        access_token: A KallyAI access token to use as it is; it is never stored.
        home_override: The folder for tokens and state; None for the platform's own.
        token_store: Where a sign-in is kept.
        wait_seconds: How long a tool waits for a phone call to end, in seconds.
        same_call_seconds: How long after its end a call that reached somebody is the answer to a request for the same
            call, in seconds.
        settle_seconds: How long to search for a call after its response was lost, in seconds.
        late_seconds: How long after it was due a scheduled call may still be placed, in seconds.
        keep_days: How long the ledger keeps a call, in days.
        confirm: When to ask the user before a call. None means `auto`, but `never` on the embedded sandbox.
        calls_per_hour: The most calls that one account may place within an hour; None for no limit.
        calls_per_day: The same within 24 hours.
        calls_per_number: The same to one number within 24 hours.
        allow_numbers: The numbers and prefixes (E.164) that may be called; empty for all.
        deny_numbers: The numbers and prefixes that may not be called.
        stop_calls: Place no calls.
        read_only: Give agents no tool that places or cancels a call.
        sandbox: Use the embedded sandbox in place of KallyAI.
        auth: Who may use the HTTP server: `none` for any client on this machine, `secret` for clients with
            `mcp_token`, `caller` for clients with a KallyAI access token, `oauth` for users who sign in here.
        client_id: Our OAuth client at KallyAI, for `oauth`.
        client_secret: The secret of that client.
        secret_keys: Keys for the encrypted tokens and requests that clients keep: at least 32 random bytes each.
            The first one encrypts, all of them decrypt.
        mcp_token: The bearer token for `secret`.
        allowed_hosts: `Host` headers that the HTTP server accepts, with `:*` for any port.
        allowed_origins: `Origin` headers (web pages) that the HTTP server accepts, with `:*` for any port.
        public_url: The URL of the HTTP server for clients.
        trusted_proxies: Addresses and networks of proxies whose `X-Forwarded-For` header the HTTP server uses.
        rate_limit: How many requests one account may make over HTTP, such as 300/minute.
        database_url: The PostgreSQL database that several workers or machines share; None for an SQLite file in
            `home`.
        user_agent: The User-Agent header of requests to the API.
        log_level: The level of the log on stderr.
        log_format: The format of the log on stderr.
        fast_start: Answer a client's first requests over stdio while the server is still being imported.
    """

    api_url: Annotated[str, check_base_url] = LIVE_API_URL
    access_token: Annotated[str | None, values.token] = None
    home_override: Annotated[Path | None, values.folder] = None
    token_store: Annotated[TokenStoreChoice, values.one_of(TokenStoreChoice)] = "auto"  # noqa: S105 - the name of a store, not a secret
    wait_seconds: Annotated[float, values.amount("seconds", WAIT_LIMIT)] = 45
    same_call_seconds: Annotated[float, values.amount("seconds", 86400)] = 3600
    settle_seconds: Annotated[float, values.amount("seconds", 86400)] = 300
    late_seconds: Annotated[float, values.amount("seconds", 86400)] = 1800
    keep_days: Annotated[float, values.amount("days", 36500)] = 90
    confirm: Annotated[Confirm | None, values.one_of(Confirm)] = None
    calls_per_hour: Annotated[int | None, values.number_of_calls] = None
    calls_per_day: Annotated[int | None, values.number_of_calls] = None
    calls_per_number: Annotated[int | None, values.number_of_calls] = None
    allow_numbers: Annotated[tuple[str, ...], values.numbers] = ()
    deny_numbers: Annotated[tuple[str, ...], values.numbers] = ()
    stop_calls: Annotated[bool, values.switch] = False
    read_only: Annotated[bool, values.switch] = False
    sandbox: Annotated[bool, values.switch] = False
    auth: Annotated[Auth, values.one_of(Auth)] = "none"
    client_id: Annotated[str | None, values.token] = None
    client_secret: Annotated[str | None, values.token] = None
    secret_keys: Annotated[tuple[bytes, ...], values.secret_keys] = ()
    mcp_token: Annotated[str | None, values.shared_secret] = None
    allowed_hosts: Annotated[tuple[str, ...], values.hosts] = ()
    allowed_origins: Annotated[tuple[str, ...], values.origins] = ()
    public_url: Annotated[str | None, values.public_url] = None
    trusted_proxies: Annotated[tuple[str, ...], values.networks] = ()
    rate_limit: Annotated[str, values.rate] = "300/minute"
    database_url: Annotated[str | None, values.database_url] = None
    user_agent: Annotated[str, values.header] = f"kallyai-mcp/{__version__}"
    log_level: Annotated[LogLevel, values.one_of(LogLevel)] = "WARNING"
    log_format: Annotated[LogFormat, values.one_of(LogFormat)] = "text"
    fast_start: Annotated[bool, values.switch] = True

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the settings from `environ` (default: the environment of this process).

        An empty variable counts as not set. An unknown variable is ignored, unless its name is similar to a setting's.

        Raises:
            SettingsError: A value is not valid, or a name is misspelled.
        """
        source = os.environ if environ is None else environ
        known = {variable_of(field): field for field in fields(cls)}
        read = {}
        for name in sorted(name for name in source if name.startswith(PREFIX) and _is_set(source[name])):
            if name not in known:
                _check_spelling(name, known)
                continue
            try:
                read[known[name].name] = reader_of(known[name])(source[name].strip())
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from None
        return cls(**read)

    @cached_property
    def home(self) -> Path:
        """The folder for tokens and state: `KALLYAI_HOME`, else the platform's data folder for this program.

        On Windows it is outside of AppData. A packaged program, such as Claude Desktop, and all programs that it starts
        have a private copy of AppData, so not all clients would share one ledger.
        """
        if self.home_override is not None:
            return self.home_override
        if sys.platform == "win32":
            return Path.home() / ".kallyai-mcp"
        from platformdirs import user_data_path  # imported late: `tools/list` needs no folder

        return user_data_path("kallyai-mcp", appauthor=False)

    def __repr__(self) -> str:
        """The settings without anything that could be a secret."""
        token = "set" if self.access_token else "not set"
        return f"Settings(api_url={self.api_url!r}, sandbox={self.sandbox}, access_token={token})"


def variable_of(field: "dataclasses.Field[Any]") -> str:
    """The environment variable of a field of `Settings`."""
    return f"{PREFIX}{field.name.removesuffix('_override').upper()}"


def reader_of(field: "dataclasses.Field[Any]") -> Callable[[str], Any]:
    """The function that reads the value of a field of `Settings` from a text."""
    read: Callable[[str], Any] = get_args(field.type)[1]
    return read


def _is_set(value: str) -> bool:
    """Whether a variable has a value. For an option without a value, some clients pass its placeholder."""
    return bool(value.strip()) and not value.strip().startswith("${user_config.")


def _check_spelling(name: str, known: Iterable[str]) -> None:
    from difflib import get_close_matches  # imported late: hardly ever needed

    names = [other.removeprefix(PREFIX) for other in known]
    if similar := get_close_matches(name.removeprefix(PREFIX), names, 1, _SIMILAR):
        near = f"{PREFIX}{similar[0]}"
        raise SettingsError(f"{name}: there is no such setting; did you mean {near}?")
