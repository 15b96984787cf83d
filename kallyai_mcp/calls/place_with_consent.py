"""Placing a call with its user's consent, which is asked for anew when it is outdated."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from kallyai_mcp.calls.ledger.base import ConsentOutdatedError
from kallyai_mcp.calls.policy import Consent

Written = TypeVar("Written")
Other = TypeVar("Other")

_MAX_ATTEMPTS = 3


async def place_with_consent(
    ask: Callable[[Sequence[Consent]], Awaitable[Consent | Other]], place: Callable[[Consent], Awaitable[Written]]
) -> Written | Other:
    """Ask, and place the call or the list; when the consent was outdated by then, ask again, up to three times in all.

    Raises `ConsentOutdatedError` when it was outdated each time.

    Args:
        ask: Gets the consents that were outdated, and returns a new one, or what to return in place of a call.
        place: Places the call (`CallService.place`) or the list (`CallService.place_list`).
    """
    outdated: list[Consent] = []
    while True:
        consent = await ask(outdated)
        if not isinstance(consent, Consent):
            return consent
        try:
            return await place(consent)
        except ConsentOutdatedError:
            outdated.append(consent)
            if len(outdated) == _MAX_ATTEMPTS:
                raise
