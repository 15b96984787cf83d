"""Values of columns that may be NULL."""

from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")
Made = TypeVar("Made")


def if_any(make: Callable[[Value], Made], value: Value | None) -> Made | None:
    """What is made of a value; None for None, which a column has as NULL."""
    return make(value) if value is not None else None
