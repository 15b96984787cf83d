"""Values that may be missing."""

from collections.abc import Callable
from typing import TypeVar

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


def if_there(make: Callable[[_Given], _Made], value: _Given | None) -> _Made | None:
    """What a function makes of a value; None of None."""
    return None if value is None else make(value)
