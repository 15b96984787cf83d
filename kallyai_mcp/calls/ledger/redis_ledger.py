"""The ledger in Redis (6 or newer, or Valkey), shared by all machines that work for the same users.

Each method is one step: one call of the script in `redis_ledger.lua`, during which Redis does nothing else. Its keys,
each beginning with `{PREFIX}:`, and each with a time to live that every write renews:

    call:TRACKING_ID         hash    the columns of `records.to_document`, and `scope`, `grip` and `number`
    calls                    zset    every tracking_id, by `placed_at`
    same:SCOPE:FINGERPRINT   zset    those that may bar the same call from being placed again, by `placed_at`
    unsettled:SCOPE          zset    those under way or unknown, by `placed_at`
    rung:SCOPE               zset    those not refused, which the caps count, by `placed_at`
    audit:SCOPE              zset    the audit trail by time: an outcome, a line break, `records.audit_document` as JSON
    scopes                   zset    every SCOPE that has one of the last two, by the oldest time in them
    taken_up                 string  until when what a version before `rung` wrote is in it
    id:SCOPE:CALL_ID         string  the tracking_id of the one record that has claimed the call
    carried:OWNER            set     what an owner has under way; OWNER is empty for what nobody has
    owners                   zset    owners, by their last beat; 0 for who has gone and left something
    void:GRIP                string  a step that was given up and must not happen any more

SCOPE is a digest, so no key tells an account. GRIP is new for each entry and each adoption, and says which of them gave
a record to its owner. `{PREFIX}` is a hash tag: a ledger lies in one slot, because most methods name no scope.

Why losing Redis between, or in, two steps makes no call be dialled twice:

- `enter`, `adopt`: without an answer the caller dials nothing. Whether it happened is not known, so the next step on
  this object takes it back first, also if it is still on its way (`void`). Should this process die before, its records
  are those of a silent owner. Asked twice it is still done once, by its grip. A line of the audit trail has a
  tracking_id of its own, so it is there once, too.
- `send`: no request leaves without its answer. Noted in vain, the record counts as sent: looked for, not dialled.
- `claim`, `lose`, `end`: written until it works, and asked twice they do the same. Until then the record is `SENT`,
  bars the same call, and is looked for at the service by whoever adopts it, not dialled.
- `hand_out`, `take_back`, `beat`, `leave`: in vain, somebody is told once more, or a call is taken over, which dials
  nothing.
- A record that isn't there is not sent for (`send`), so even a Redis that comes back empty ends all dialling.

What Redis itself forgets can be asked for, and dialled, anew. So it must keep what it has answered for: `appendonly
yes`, `appendfsync always`, `maxmemory-policy noeviction`, and no fail-over to a replica that lags behind.
"""

import asyncio
import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import anyio

from kallyai_mcp.api.errors import KallyAIError, PolicyError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.ledger.base import LedgerUnavailableError
from kallyai_mcp.calls.ledger.redis_connection import RedisConnection
from kallyai_mcp.calls.policy import CallPolicy, Consent
from kallyai_mcp.calls.records import (
    PLACED,
    AccountKey,
    AuditEntry,
    CallRecord,
    CallState,
    audit_document,
    audit_from,
    end_document,
    from_document,
    refused_by,
    to_document,
)

_LEAVE = 1.0
"""Seconds that a process that ends waits to say so; without a word it counts as gone a little later."""

_BATCH = 500
"""How many records or grips one step removes or gives up: Redis does nothing else meanwhile."""

_FORBIDDEN = 2
"""What `enter` answers with when the guard rails forbid it."""

_SCRIPT = Path(__file__).with_name("redis_ledger.lua")


class RedisLedger:
    """A ledger in Redis; see the top of this file for what it keeps there and what it asks of Redis.

    Nothing is connected before the first step. A step waits for at most `patience`, also when its caller is cancelled,
    and is tried a second time only when its connection breaks; after Redis has come back the same object works again.

    Args:
        url: `redis://`, `rediss://` (TLS) or `unix://`, with user and password where Redis wants them.
        prefix: What all keys begin with, in braces; ledgers with different prefixes share nothing.
        keep: How long a record and all else lasts that nobody writes again, should nobody call `forget` either. To be
            longer than what is given to `forget`.
        patience: Seconds within which a step must be done.

    Raises:
        ValueError: The URL or the prefix can't be used; the message quotes neither.
        LedgerUnavailableError: The package `redis` is not installed.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "kallyai-mcp",
        keep: timedelta = timedelta(days=120),
        patience: float = 5.0,
    ) -> None:
        if not prefix or set(prefix) & set("{}"):
            raise ValueError("The prefix of the ledger's keys must not be empty or have braces in it")
        self._redis = RedisConnection(url, _SCRIPT.read_text(encoding="utf-8"), patience=patience)
        self._base = f"{{{prefix}}}"
        self._keep = str(int(keep.total_seconds() * 1000))
        self._patience = patience
        self._doubtful: set[tuple[str, str]] = set()  # grip and owner of what may have happened without our knowing

    def __repr__(self) -> str:
        return f"RedisLedger({self._redis.place!r})"

    async def enter(
        self,
        record: CallRecord,
        *,
        redial: bool,
        recent: timedelta,
        policy: CallPolicy = CallPolicy(),  # noqa: B008 - frozen
        consent: Consent | None = None,
    ) -> tuple[CallRecord, bool]:
        """See `Ledger.enter`."""
        grip = uuid.uuid4().hex
        ours = {"scope": _digest(record.scope), "grip": grip, "number": record.submission.respondent_phone}
        values = (_flag(redial), _epoch(record.placed_at - recent), _rails(record, policy, consent))
        answer, *more = await self._step(
            "enter", *values, *_flat(to_document(record) | ours), grip=(grip, record.owner)
        )
        if answer == _FORBIDDEN:
            raise _hit(record, policy, *more)
        return (record, True) if answer else (_record(more[0]), False)

    async def admit(self, record: CallRecord, *, policy: CallPolicy, consent: Consent | None = None) -> None:
        """See `Ledger.admit`."""
        values = (_digest(record.scope), _epoch(record.placed_at), _rails(record, policy, consent))
        if forbidden := await self._step("admit", *values):
            raise _hit(record, policy, *forbidden[1:])

    async def same(self, record: CallRecord, *, recent: timedelta) -> CallRecord | None:
        """See `Ledger.same`."""
        found = await self._step("same", _digest(record.scope), record.fingerprint, _epoch(record.placed_at - recent))
        return _record(found) if found else None

    async def last_rung(self, scope: AccountKey, number: str) -> datetime | None:
        """See `Ledger.last_rung`."""
        found = await self._step("last_rung", _digest(scope), number)
        return datetime.fromtimestamp(float(found), UTC) if found else None

    async def audit(self, scope: AccountKey, limit: int) -> list[AuditEntry]:
        """See `Ledger.audit`."""
        found = [member.partition("\n") for member in await self._step("audit", _digest(scope), str(limit))]
        return [audit_from(json.loads(line), outcome) for outcome, _, line in found]

    async def find(self, scope: AccountKey, id_: str) -> CallRecord | None:
        """See `Ledger.find`."""
        found = await self._step("find", _digest(scope), id_)
        return _record(found) if found else None

    async def unsettled(self, scope: AccountKey) -> list[CallRecord]:
        """See `Ledger.unsettled`."""
        return [_record(found) for found in await self._step("unsettled", _digest(scope))]

    async def send(self, tracking_id: str, owner: str, now: datetime) -> bool:
        """See `Ledger.send`."""
        return bool(await self._step("send", tracking_id, owner, _epoch(now)))

    async def lose(self, tracking_id: str, now: datetime) -> None:
        """See `Ledger.lose`."""
        await self._step("lose", tracking_id, _epoch(now))

    async def claim(self, tracking_id: str, call_id: str, *, sure: bool) -> bool:
        """See `Ledger.claim`."""
        return bool(await self._step("claim", tracking_id, call_id, _flag(sure)))

    async def end(
        self,
        tracking_id: str,
        state: CallState,
        now: datetime,
        *,
        call: Call | None = None,
        error: KallyAIError | None = None,
    ) -> None:
        """See `Ledger.end`."""
        await self._step("finish", tracking_id, state.value, _epoch(now), *_flat(end_document(call, error)))

    async def hand_out(self, tracking_id: str) -> None:
        """See `Ledger.hand_out`."""
        await self._step("hand_out", tracking_id)

    async def take_back(self, tracking_id: str) -> None:
        """See `Ledger.take_back`."""
        await self._step("take_back", tracking_id)

    async def beat(self, owner: str, now: datetime) -> None:
        """See `Ledger.beat`."""
        await self._step("beat", owner, _epoch(now))

    async def leave(self, owner: str) -> None:
        """See `Ledger.leave`."""
        await self._step("leave", owner, patience=min(_LEAVE, self._patience))

    async def has_orphans(self, owner: str, now: datetime, silence: timedelta) -> bool:
        """See `Ledger.has_orphans`."""
        return bool(await self._step("has_orphans", owner, _epoch(now - silence)))

    async def adopt(self, scope: AccountKey, owner: str, now: datetime, silence: timedelta) -> list[CallRecord]:
        """See `Ledger.adopt`."""
        grip = uuid.uuid4().hex
        values = (_digest(scope), owner, _epoch(now), _epoch(now - silence), grip)
        return [_record(found) for found in await self._step("adopt", *values, grip=(grip, owner))]

    async def forget(self, before: datetime) -> None:
        """See `Ledger.forget`; in steps of a few hundred records."""
        while await self._step("forget", _epoch(before), str(_BATCH)) == _BATCH:
            pass

    async def aclose(self) -> None:
        """See `Ledger.aclose`."""
        with anyio.CancelScope(shield=True):
            await self._redis.aclose()

    async def _step(
        self, name: str, *values: str, grip: tuple[str, str] | None = None, patience: float | None = None
    ) -> Any:
        """Do one step.

        Args:
            name: The step, as the script has it.
            values: What it takes.
            grip: Its grip and owner, when it must be taken back should its answer be lost.
            patience: Seconds, when not those of the ledger.
        """
        # Shielded, because half a step must not be taken for none.
        with anyio.CancelScope(shield=True):
            try:
                async with asyncio.timeout(patience or self._patience):
                    await self._release()
                    return await self._run(name, *values)
            except self._redis.errors as error:
                if grip and not isinstance(error, self._redis.refusal):
                    self._doubtful.add(grip)
                words = self._redis.words(error)
        # Out here the error has no context: what redis-py says may quote what it was sent.
        raise LedgerUnavailableError(f"The ledger in Redis at {self._redis.place} can't be used: {words}")

    async def _run(self, name: str, *values: str) -> Any:
        return await self._redis.run(self._base, name, self._keep, *values)

    async def _release(self) -> None:
        while batch := list(self._doubtful)[:_BATCH]:
            try:
                await self._run("release", *chain.from_iterable(batch))
            except self._redis.refusal:  # it does not write now, but may still be read
                return
            self._doubtful.difference_update(batch)


def _digest(scope: AccountKey) -> str:
    return hashlib.sha256(json.dumps([scope.api, scope.account]).encode()).hexdigest()[:32]


def _rails(record: CallRecord, policy: CallPolicy, consent: Consent | None) -> str:
    """What the script needs to know of the guard rails and the audit trail, as JSON."""
    number = record.submission.respondent_phone
    ban = policy.ban(number)
    return json.dumps(
        {
            "ban": ban.setting if ban else "",
            "number": number,
            "caps": [
                {
                    "setting": cap.setting,
                    "limit": cap.limit,
                    "since": _epoch(record.placed_at - cap.window),
                    "window": cap.window.total_seconds(),
                    "per_number": cap.per_number,
                }
                for cap in policy.caps()
            ],
            "placed": PLACED,
            "refused": refused_by(""),
            "line": json.dumps(audit_document(record, consent)),
        }
    )


def _hit(record: CallRecord, policy: CallPolicy, setting: str, oldest: str) -> PolicyError:
    """The refusal that the script has answered with."""
    for cap in policy.caps():
        if cap.setting == setting:
            since = datetime.fromtimestamp(float(oldest), UTC) if oldest else None
            return cap.hit(since, now=record.placed_at, timezone=record.timezone)
    ban = policy.ban(record.submission.respondent_phone)
    assert ban is not None, "the script answers with what it was given"  # noqa: S101
    return ban


def _epoch(moment: datetime) -> str:
    return repr(moment.timestamp())


def _flag(value: bool) -> str:
    return str(int(value))


def _flat(document: Mapping[str, Any]) -> list[str]:
    """Names and values in turn, as Redis takes and gives a hash; without what is None."""
    return [text for name, value in document.items() if value is not None for text in (name, str(value))]


def _record(flat: list[str]) -> CallRecord:
    return from_document(dict(zip(flat[::2], flat[1::2], strict=True)))
