"""The types of the sandbox tests' fixtures."""

from collections.abc import Callable, Coroutine
from typing import Any

import httpx2

SignIn = Callable[..., dict[str, str]]
RequestBody = Callable[..., dict[str, Any]]
PlaceCall = Callable[..., Coroutine[Any, Any, httpx2.Response]]
