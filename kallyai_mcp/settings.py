"""Every knob, read once: the environment with the prefix `KALLYAI_`, turned into one frozen object."""

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
"""The longest that a tool call may be told to wait, in seconds: as long as the API client waits for a phone call."""

_PREFIX = "KALLYAI_"
_AUTO: Confirm = "auto"
_SHORTEST_SECRET = 16
_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off", ""}
_Choice = TypeVar("_Choice", bound=str)


class SettingsError(ValueError):
    """A setting has a value that can't be used; the message is one line that names it and says what it takes."""


@dataclass(frozen=True, repr=False)
class Settings:
    """What the environment says, checked.

    Attributes:
        api_url: `API_URL`: where KallyAI answers; https, or http on a loopback address.
        access_token: `ACCESS_TOKEN`: a KallyAI access token that is used as it is and never stored.
        home_override: `HOME`: the folder for tokens and state; None for the platform's own.
        token_store: `TOKEN_STORE`: where a sign-in is kept.
        wait_seconds: `WAIT_SECONDS`: how long a tool waits for a phone call to end, in seconds.
        same_call_seconds: `SAME_CALL_SECONDS`: for how long a call that succeeded is not placed again when it is asked
            for again.
        settle_seconds: `SETTLE_SECONDS`: for how long a call whose answer was lost is looked for.
        keep_days: `KEEP_DAYS`: after how many days the ledger forgets a call.
        confirm: `CONFIRM`: when the user is asked before a call: when something is odd about it, always, never. None
            for auto, or, on the embedded sandbox, never.
        calls_per_hour: `CALLS_PER_HOUR`: how many calls one account may place in any hour; None for any number.
        calls_per_day: `CALLS_PER_DAY`: the same in any 24 hours.
        calls_per_number: `CALLS_PER_NUMBER`: the same to one number in any 24 hours.
        allow_numbers: `ALLOW_NUMBERS`: the numbers or prefixes that alone may be rung; empty for all.
        deny_numbers: `DENY_NUMBERS`: those that may not.
        stop_calls: `STOP_CALLS`: nobody is rung.
        sandbox: `SANDBOX`: serve on the embedded sandbox.
        auth: `AUTH`: who may come in over HTTP: anybody on this machine, whoever has the secret, or whoever brings a
            KallyAI access token, or whoever signs in here with their own account.
        client_id: `CLIENT_ID`: our OAuth client at KallyAI, for the hosted sign-in.
        client_secret: `CLIENT_SECRET`: its secret.
        secret_keys: `SECRET_KEYS`: what the hosted sign-in seals with: keys of at least 32 bytes in hexadecimal, with
            commas between them; the first seals, all open.
        mcp_token: `MCP_TOKEN`: the bearer that a client needs over HTTP.
        allowed_hosts: `ALLOWED_HOSTS`: names that the HTTP server may be called by, with `:*` for any port.
        allowed_origins: `ALLOWED_ORIGINS`: web pages that may use the HTTP server, with `:*` for any port.
        public_url: `PUBLIC_URL`: where clients find the HTTP server.
        rate_limit: `RATE_LIMIT`: how often one account may ask over HTTP, such as 300/minute.
        redis_url: `REDIS_URL`: the Redis that several workers or machines share.
        user_agent: `USER_AGENT`: what the API is told of us.
        log_level: `LOG_LEVEL`: for the log on stderr.
        log_format: `LOG_FORMAT`: of the log on stderr.
    """

    api_url: str = LIVE_API_URL
    access_token: str | None = None
    home_override: Path | None = None
    token_store: TokenStoreChoice = "auto"  # noqa: S105 - the name of a store, not a secret
    wait_seconds: float = 45
    same_call_seconds: float = 600
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
    redis_url: str | None = None
    user_agent: str = f"kallyai-mcp/{__version__}"
    log_level: LogLevel = "WARNING"
    log_format: LogFormat = "text"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings from `environ` (default: the process's own environment).

        A variable that is set but empty counts as not set.

        Raises:
            SettingsError: A value can't be used; one line says which and what it takes.
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
            redis_url=text("REDIS_URL"),
            user_agent=user_agent,
            log_level=_choice("LOG_LEVEL", _upper(text("LOG_LEVEL")), LogLevel, cls.log_level),
            log_format=_choice("LOG_FORMAT", text("LOG_FORMAT"), LogFormat, cls.log_format),
        )

    @cached_property
    def home(self) -> Path:
        """The folder for tokens and state: `KALLYAI_HOME`, else the platform's own data folder."""
        if self.home_override is not None:
            return self.home_override
        from platformdirs import user_data_path  # late: `tools/list` needs no folder

        return user_data_path("kallyai-mcp", appauthor=False)

    def __repr__(self) -> str:
        """The settings without the token."""
        token = "set" if self.access_token else "not set"
        return f"Settings(api_url={self.api_url!r}, sandbox={self.sandbox}, access_token={token})"


def _is_set(value: str) -> bool:
    """Whether somebody chose a value: some clients hand on the placeholder of an option that nobody filled in."""
    return bool(value.strip()) and not value.strip().startswith("${user_config.")


def _token(name: str, value: str | None) -> str | None:
    if value is not None and (not value.isascii() or not value.isprintable() or " " in value):
        raise SettingsError(f"{_PREFIX}{name}: not a token: it has spaces or characters beyond ASCII")
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
