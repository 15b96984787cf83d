"""Places a call with the user's consent, and asks again when the consent is outdated."""

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
    """Ask for consent and place the call or the list. When the consent is outdated by then, ask again.

    Args:
        ask: Gets the outdated consents. Returns a new consent, or any other value to give up.
        place: Places the call (`Calls.place`) or the list (`Calls.place_list`).

    Returns:
        What `place` returned, or the value with which `ask` gave up.

    Raises:
        ConsentOutdatedError: The consent was outdated three times.
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
