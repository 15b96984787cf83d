"""The sandbox's accounts. Each one shows another state that an account can be in."""

from dataclasses import dataclass
from typing import Literal

Provider = Literal["google", "apple"]

SCOPES: dict[str, str] = {
    "calls:read": "Read call history and details",
    "calls:write": "Make phone calls",
    "sessions:read": "Read session state",
    "sessions:write": "Update session state",
    "subscription:read": "Read subscription status",
    "billing:manage": "Access billing portal",
    "transcripts:read": "Read call transcripts",
    "recordings:read": "Access call recordings",
}
"""Descriptions by scope: the reference's "Scopes" table."""


@dataclass(frozen=True)
class Account:
    """One account of the sandbox.

    Attributes:
        minutes_used_before: Minutes counted as used at the start of every period.
        calls_used_before: Calls counted as used at the start of every period.
        regions: ISO 3166 codes of the countries the account may call; None means every supported country.
    """

    id: str
    email: str
    description: str
    plan_type: str
    period: str
    minutes_allocated: int
    calls_allocated: int
    minutes_used_before: int = 0
    calls_used_before: int = 0
    has_active_subscription: bool = True
    subscription_status: str = "active"
    regions: frozenset[str] | None = None


ACCOUNTS: dict[str, Account] = {
    account.id: account
    for account in (
        Account("acct-personal", "personal@sandbox.test", "A personal plan with minutes to spare", "personal",
                "monthly", 210, 35, 45, 8),
        Account("acct-business", "business@sandbox.test", "A business plan with plenty of everything", "business",
                "yearly", 6000, 1000),
        Account("acct-trial", "trial@sandbox.test", "A trial with few minutes left", "trial", "monthly", 30, 5, 25, 3,
                has_active_subscription=False, subscription_status="trialing"),
        Account("acct-empty", "empty@sandbox.test", "A trial that is used up: every call is refused with 402", "trial",
                "monthly", 30, 5, 30, 5, has_active_subscription=False, subscription_status="trialing"),
        Account("acct-us-only", "us-only@sandbox.test", "May call the United States and Canada only", "personal",
                "monthly", 210, 35, regions=frozenset({"US", "CA"})),
    )
}  # fmt: skip
"""Accounts by id. The embedded sandbox is signed in as `acct-personal`."""
