"""Reads an account's usage: the statistics each time, and the subscription, which seldom changes, from a cache."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError, NotFoundError
from kallyai_mcp.api.models import Statistics, Subscription

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI
    from kallyai_mcp.tools.context import AppContext

_FRESH = timedelta(seconds=60)
"""How long a subscription is kept, if the statistics show the same plan."""

_MAX_ACCOUNTS = 10_000

USAGE_SECONDS = 3.0
"""How many seconds to wait for the quota, which is only an addition to a result and must not delay it."""


@dataclass(frozen=True)
class _Entry:
    subscription: Subscription | None
    plan: tuple[object, ...]
    until: datetime


class UsageCache:
    """Keeps each account's subscription, so that reading the usage takes one request instead of two."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    async def get(self, api: "KallyAI", account: str, now: datetime) -> tuple[Statistics, Subscription | None]:
        """Return the statistics of `account`, and its subscription; None without one, or without the scope for it.

        Raises:
            KallyAIError: As `KallyAI.get_statistics` and `KallyAI.get_subscription` raise it.
        """
        entry = self._entries.get(account)
        if entry is not None and now < entry.until:
            statistics = await api.get_statistics()
            if _plan_of(statistics) == entry.plan:
                return statistics, entry.subscription
            subscription = await _subscription(api)
        elif entry is not None:
            # Other requests use the old subscription while this one reads it again.
            self._entries[account] = replace(entry, until=now + _FRESH)
            try:
                statistics, subscription = await _both(api)
            except BaseException:
                self._entries.pop(account, None)
                raise
        else:
            statistics, subscription = await _both(api)
        self._entries[account] = _Entry(subscription, _plan_of(statistics), now + _FRESH)
        self._entries.move_to_end(account)
        if len(self._entries) > _MAX_ACCOUNTS:
            self._entries.popitem(last=False)
        return statistics, subscription


async def usage_of(
    app_context: "AppContext", account: str | None = None
) -> tuple[Statistics, Subscription | None] | None:
    """The statistics and subscription of an account, or of the one that is signed in.

    None when KallyAI does not give them, or not within `USAGE_SECONDS`.
    """
    try:
        with anyio.move_on_after(USAGE_SECONDS):
            account = account or await app_context.sign_in.account()
            return await app_context.usage.get(app_context.api(), account, app_context.now())
    except KallyAIError:
        return None
    return None


def _plan_of(statistics: Statistics) -> tuple[object, ...]:
    """The fields of the statistics that describe the plan; the others are usage."""
    return (
        statistics.plan_type,
        statistics.minutes_allocated,
        statistics.calls_allocated,
        statistics.credits_allocated,
        statistics.period_start,
        statistics.period_end,
        statistics.subscription_status,
    )


async def _subscription(api: "KallyAI") -> Subscription | None:
    try:
        return await api.get_subscription()
    except (ForbiddenError, NotFoundError):
        return None


async def _both(api: "KallyAI") -> tuple[Statistics, Subscription | None]:
    return await asyncio.gather(api.get_statistics(), _subscription(api))
