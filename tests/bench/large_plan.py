"""A plan that a measurement does not use up."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from kallyai_mcp.sandbox.accounts import ACCOUNTS


@contextmanager
def large_plan(account_id: str) -> Iterator[None]:
    """Give an account of the sandbox a million minutes and calls a month, until the end of the block."""
    account = ACCOUNTS[account_id]
    ACCOUNTS[account_id] = replace(account, minutes_allocated=10**6, calls_allocated=10**6)
    try:
        yield
    finally:
        ACCOUNTS[account_id] = account
