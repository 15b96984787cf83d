"""An account's figures: its statistics, fresh each time, and its subscription, which hardly ever changes."""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import anyio

from kallyai_mcp.api.errors import ForbiddenError, KallyAIError, NotFoundError
from kallyai_mcp.api.models import Statistics, Subscription

if TYPE_CHECKING:
    from kallyai_mcp.api.client import KallyAI

_FRESH = timedelta(seconds=60)
"""For how long a subscription is taken to be what it was, as long as the statistics tell of the same plan."""

_MOST = 10_000
"""How many accounts are remembered."""


@dataclass(frozen=True)
class _Known:
    subscription: Subscription | None
    plan: tuple[object, ...]
    until: datetime


class UsageCache:
    """Remembers what each account subscribes to, so that asking for its figures takes one request, not two."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def figures(self, api: "KallyAI", account: str, now: datetime) -> tuple[Statistics, Subscription | None]:
        """The figures of `account`; the subscription where there is one that this sign-in may read.

        Args:
            api: Asks as `account`.
            account: Whose figures.
            now: With a time zone.

        Raises:
            KallyAIError: As the client's methods do.
        """
        known = self._known.pop(account, None)
        if known is not None and now < known.until:
            statistics = await api.get_statistics()
            if _plan(statistics) == known.plan:
                self._known[account] = known
                return statistics, known.subscription
            subscription = await _subscription(api)
        else:
            statistics, subscription = await _both(api)
        self._known[account] = _Known(subscription, _plan(statistics), now + _FRESH)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)
        return statistics, subscription


def _plan(statistics: Statistics) -> tuple[object, ...]:
    """What the statistics tell of the plan; the rest is what is left of it."""
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
    subscriptions: list[Subscription | None] = []
    trouble: list[KallyAIError] = []

    async def ask_for_subscription() -> None:
        try:
            subscriptions.append(await _subscription(api))
        except KallyAIError as error:  # raised below: the group would wrap it
            trouble.append(error)

    statistics: list[Statistics] = []
    async with anyio.create_task_group() as group:
        group.start_soon(ask_for_subscription)
        try:
            statistics.append(await api.get_statistics())
        except KallyAIError as error:
            trouble.append(error)
            group.cancel_scope.cancel()
    if trouble:
        raise trouble[0]
    return statistics[0], subscriptions[0]
