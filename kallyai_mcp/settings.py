"""Every setting: environment variables with the prefix `KALLYAI_`, read once into one frozen object."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar, get_args

from kallyai_mcp import __version__
from kallyai_mcp.common_types import Confirm, LogFormat
from kallyai_mcp.urls import check_base_url

TokenStoreChoice = Literal["auto", "keyring", "file"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR"]
Auth = Literal["none", "secret", "caller", "oauth"]

LIVE_API_URL = "https://api.kallyai.com"
WAIT_LIMIT = 1800
"""The most seconds that a tool may be told to wait: as long as the API client waits for a phone call."""

_PREFIX = "KALLYAI_"
_AUTO: Confirm = "auto"
_SHORTEST_SECRET = 16
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_Choice = TypeVar("_Choice", bound=str)


class SettingsError(ValueError):
    """The value of a setting is not valid. The message is one line that names the setting and says what it takes."""


@dataclass(frozen=True, repr=False)
class Settings:
    """The settings, checked.

    Each attribute is read from the environment variable of its name with the prefix `KALLYAI_` (`home_override` from
    `KALLYAI_HOME`).

    Attributes:
        api_url: The base URL of the API: https, or http on a loopback address.
        access_token: A KallyAI access token to use as it is; it is never stored.
        home_override: The folder for tokens and state; None for the platform's own.
        token_store: Where a sign-in is kept.
        wait_seconds: How long a tool waits for a phone call to end, in seconds.
        same_call_seconds: How long a call that reached somebody is not placed again when it is asked for again, in
            seconds.
        settle_seconds: How long to look for a call after its answer was lost, in seconds.
        keep_days: How long the ledger keeps a call, in days.
        confirm: When to ask the user before a call. None means `auto`, but `never` on the embedded sandbox.
        calls_per_hour: The most calls that one account may place within an hour; None for no limit.
        calls_per_day: The same within 24 hours.
        calls_per_number: The same to one number within 24 hours.
        allow_numbers: The numbers and prefixes (E.164) that may be called; empty for all.
        deny_numbers: The numbers and prefixes that may not be called.
        stop_calls: Place no calls.
        sandbox: Serve on the embedded sandbox.
        auth: Who may use the HTTP server: `none` for any client on this machine, `secret` for clients with
            `mcp_token`, `caller` for clients with a KallyAI access token, `oauth` for users who sign in here.
        client_id: Our OAuth client at KallyAI, for `oauth`.
        client_secret: The secret of that client.
        secret_keys: Keys that encrypt tokens and requests which clients hold for us: at least 32 bytes each, in
            hexadecimal, separated by commas. The first one encrypts, all of them decrypt.
        mcp_token: The bearer token for `secret`.
        allowed_hosts: `Host` headers that the HTTP server accepts, with `:*` for any port.
        allowed_origins: `Origin` headers (web pages) that the HTTP server accepts, with `:*` for any port.
        public_url: The URL of the HTTP server for clients.
        rate_limit: How many requests one account may make over HTTP, such as 300/minute.
        database_url: The PostgreSQL database that several workers or machines share; None for an SQLite file in
            `home`.
        user_agent: The User-Agent header of requests to the API.
        log_level: The level of the log on stderr.
        log_format: The format of the log on stderr.
    """

    api_url: str = LIVE_API_URL
    access_token: str | None = None
    home_override: Path | None = None
    token_store: TokenStoreChoice = "auto"  # noqa: S105 - the name of a store, not a secret
    wait_seconds: float = 45
    same_call_seconds: float = 3600
    settle_seconds: float = 300
    keep_days: float = 90
    confirm: Confirm | None = None
    calls_per_hour: int | None = None
    calls_per_day: int | None = None
    calls_per_number: int | None = None
    allow_numbers: tuple[str, ...] = ()
    deny_numbers: tuple[str, ...] = ()
    stop_calls: bool = False
    sandbox: bool = False
    auth: Auth = "none"
    client_id: str | None = None
    client_secret: str | None = None
    secret_keys: str | None = None
    mcp_token: str | None = None
    allowed_hosts: tuple[str, ...] = ()
    allowed_origins: tuple[str, ...] = ()
    public_url: str | None = None
    rate_limit: str = "300/minute"
    database_url: str | None = None
    user_agent: str = f"kallyai-mcp/{__version__}"
    log_level: LogLevel = "WARNING"
    log_format: LogFormat = "text"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Reads the settings from `environ` (default: the environment of this process).

        An empty variable counts as not set.

        Raises:
            SettingsError: A value is not valid.
        """
        source = os.environ if environ is None else environ
        given = {key: value.strip() for key in source if key.startswith(_PREFIX) and _is_set(value := source[key])}

        def text(name: str) -> str | None:
            return given.get(_PREFIX + name)

        api_url = text("API_URL") or LIVE_API_URL
        try:
            api_url = check_base_url(api_url)
        except ValueError as error:
            raise SettingsError(f"{_PREFIX}API_URL: {error}") from None
        home = text("HOME")
        user_agent = text("USER_AGENT") or cls.user_agent
        if not user_agent.isascii() or not user_agent.isprintable():
            raise SettingsError(f"{_PREFIX}USER_AGENT: only printable ASCII can be sent in a header")
        mcp_token = _token("MCP_TOKEN", text("MCP_TOKEN"))
        if mcp_token is not None and len(mcp_token) < _SHORTEST_SECRET:
            raise SettingsError(f"{_PREFIX}MCP_TOKEN: too short to keep anybody out; {_SHORTEST_SECRET} characters do")
        public_url = text("PUBLIC_URL")
        if public_url is not None and not public_url.startswith(("https://", "http://")):
            raise SettingsError(
                f"{_PREFIX}PUBLIC_URL: not a web address; it should look like https://phone.example.com"
            )
        return cls(
            api_url=api_url,
            access_token=_token("ACCESS_TOKEN", text("ACCESS_TOKEN")),
            home_override=Path(home).expanduser() if home else None,
            token_store=_choice("TOKEN_STORE", _lower(text("TOKEN_STORE")), TokenStoreChoice, cls.token_store),
            wait_seconds=_amount("WAIT_SECONDS", text("WAIT_SECONDS"), "seconds", WAIT_LIMIT, cls.wait_seconds),
            same_call_seconds=_amount(
                "SAME_CALL_SECONDS", text("SAME_CALL_SECONDS"), "seconds", 86400, cls.same_call_seconds
            ),
            settle_seconds=_amount("SETTLE_SECONDS", text("SETTLE_SECONDS"), "seconds", 86400, cls.settle_seconds),
            keep_days=_amount("KEEP_DAYS", text("KEEP_DAYS"), "days", 36500, cls.keep_days),
            confirm=_choice("CONFIRM", _lower(text("CONFIRM")), Confirm, _AUTO)
            if text("CONFIRM") is not None
            else None,
            calls_per_hour=_cap("CALLS_PER_HOUR", text("CALLS_PER_HOUR")),
            calls_per_day=_cap("CALLS_PER_DAY", text("CALLS_PER_DAY")),
            calls_per_number=_cap("CALLS_PER_NUMBER", text("CALLS_PER_NUMBER")),
            allow_numbers=_numbers("ALLOW_NUMBERS", text("ALLOW_NUMBERS")),
            deny_numbers=_numbers("DENY_NUMBERS", text("DENY_NUMBERS")),
            stop_calls=_switch("STOP_CALLS", text("STOP_CALLS")),
            sandbox=_switch("SANDBOX", text("SANDBOX")),
            auth=_choice("AUTH", text("AUTH"), Auth, cls.auth),
            client_id=_token("CLIENT_ID", text("CLIENT_ID")),
            client_secret=_token("CLIENT_SECRET", text("CLIENT_SECRET")),
            secret_keys=_hexadecimal("SECRET_KEYS", text("SECRET_KEYS")),
            mcp_token=mcp_token,
            allowed_hosts=_listed(text("ALLOWED_HOSTS")),
            allowed_origins=_listed(text("ALLOWED_ORIGINS")),
            public_url=public_url.rstrip("/") if public_url else None,
            rate_limit=_rate(text("RATE_LIMIT"), cls.rate_limit),
            database_url=_database_url(text("DATABASE_URL")),
            user_agent=user_agent,
            log_level=_choice("LOG_LEVEL", _upper(text("LOG_LEVEL")), LogLevel, cls.log_level),
            log_format=_choice("LOG_FORMAT", text("LOG_FORMAT"), LogFormat, cls.log_format),
        )

    @cached_property
    def home(self) -> Path:
        """The folder for tokens and state: `KALLYAI_HOME`, else the platform's data folder for this program."""
        if self.home_override is not None:
            return self.home_override
        from platformdirs import user_data_path  # imported late: `tools/list` needs no folder

        return user_data_path("kallyai-mcp", appauthor=False)

    def __repr__(self) -> str:
        """The settings without anything that could be a secret."""
        token = "set" if self.access_token else "not set"
        return f"Settings(api_url={self.api_url!r}, sandbox={self.sandbox}, access_token={token})"


def _is_set(value: str) -> bool:
    """Whether a variable has a value; some clients pass the placeholder of an option that the user left empty."""
    return bool(value.strip()) and not value.strip().startswith("${user_config.")


def _token(name: str, value: str | None) -> str | None:
    if value is not None and (not value.isascii() or not value.isprintable() or " " in value):
        raise SettingsError(f"{_PREFIX}{name}: not a token: it has spaces or characters beyond ASCII")
    return value


def _database_url(value: str | None) -> str | None:
    if value is not None and not re.match("(?i:postgres(?:ql)?)://", value):
        # Not repeated: it may hold a password.
        raise SettingsError(
            f"{_PREFIX}DATABASE_URL: not the URL of a PostgreSQL database; "
            "it should look like postgresql://user:password@host/database"
        )
    return value


def _hexadecimal(name: str, value: str | None) -> str | None:
    keys = [part.strip() for part in value.split(",")] if value is not None else []
    if not all(re.fullmatch("(?:[0-9a-fA-F]{2}){32,}", key) for key in keys):
        raise SettingsError(
            f"{_PREFIX}{name}: not keys of at least 32 bytes in hexadecimal, with commas between them; "
            "`openssl rand -hex 32` makes one"
        )
    return value


def _listed(value: str | None) -> tuple[str, ...]:
    return tuple(item for item in (part.strip() for part in (value or "").split(",")) if item)


def _numbers(name: str, value: str | None) -> tuple[str, ...]:
    entries = _listed(value)
    if wrong := [entry for entry in entries if not re.fullmatch(r"\+[0-9]{1,15}", entry)]:
        raise SettingsError(f"{_PREFIX}{name}: {wrong[0]!r} is no number or prefix in E.164, such as +1415")
    return entries


def _cap(name: str, value: str | None) -> int | None:
    if value is not None and not re.fullmatch("[0-9]{1,6}", value):
        raise SettingsError(f"{_PREFIX}{name}: {value!r} is not a number of calls from 0 to 999999")
    return int(value) if value is not None else None


def _rate(value: str | None, default: str) -> str:
    if value is not None and not re.fullmatch(r"[1-9][0-9]{0,6}/(second|minute|hour|day)", value):
        raise SettingsError(f"{_PREFIX}RATE_LIMIT: {value!r} is not a rate such as 300/minute")
    return value or default


def _lower(value: str | None) -> str | None:
    return value.lower() if value else value


def _upper(value: str | None) -> str | None:
    return value.upper() if value else value


def _choice(name: str, value: str | None, choices: object, default: _Choice) -> _Choice:
    allowed: tuple[_Choice, ...] = get_args(choices)
    if value is None:
        return default
    if value not in allowed:
        raise SettingsError(f"{_PREFIX}{name}: {value!r} is not one of {', '.join(allowed)}")
    return next(choice for choice in allowed if choice == value)


def _switch(name: str, value: str | None) -> bool:
    word = (value or "").lower()
    if word not in _TRUE | _FALSE:
        raise SettingsError(f"{_PREFIX}{name}: {value!r} is neither 1 nor 0")
    return word in _TRUE


def _amount(name: str, value: str | None, unit: str, limit: int, default: float) -> float:
    if value is None:
        return default
    try:
        amount = float(value)
    except ValueError:
        amount = float("nan")
    if not 0 <= amount <= limit:
        raise SettingsError(f"{_PREFIX}{name}: {value!r} is not a number of {unit} from 0 to {limit}")
    return amount
