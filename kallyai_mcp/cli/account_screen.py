"""What a person is shown of the account: who is signed in, and what is left of the plan."""

from collections.abc import Iterator
from datetime import datetime

from kallyai_mcp.api.models import Statistics, Subscription
from kallyai_mcp.calls.quota import unit_used_up
from kallyai_mcp.cli.screen import Fact, Screen, Tone
from kallyai_mcp.cli.service import Service
from kallyai_mcp.tools.text.account import allowances, comes_back, plan_in_words, when_back


def account_screen(who: str, statistics: Statistics, now: datetime, service: Service) -> Screen:
    """The account of `who`, which is "" if its name is not known."""
    is_used_up = unit_used_up(statistics) is not None
    back = comes_back(statistics, None, now)
    return Screen(
        Tone.UNSURE if is_used_up else Tone.GOOD,
        "Signed in",
        (who,) if who else (),
        tuple(_facts(statistics, now, service)),
        when_back(back, is_used_up=is_used_up) if allowances(statistics) else (),
        is_simulated=service.is_simulated,
    )


def _facts(statistics: Statistics, now: datetime, service: Service) -> Iterator[Fact]:
    yield Fact("KallyAI", service.place)
    left = ", ".join(map(str, allowances(statistics)))
    yield Fact("Left", left or "KallyAI gives no figures")
    plan = ", ".join(plan_in_words(statistics, Subscription(), now))
    if plan:
        yield Fact("Plan", plan.removesuffix(" plan"))
