"""The ids that a person reads and types."""

from kallyai_mcp.tools.text.plain import one_line

_SHORT = 8
"""Characters of an id that find a call; another one that begins so is very unlikely."""


def short_id(id_: str) -> str:
    """The beginning of an id: enough to find its call."""
    length = _SHORT + len("t-") if id_.startswith("t-") else _SHORT
    return one_line(id_)[:length]
