"""The arguments of a scripted step, in which names stand for what earlier results had."""

import re
from collections.abc import Callable, Sequence
from typing import Any

_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_IDS = {
    "confirmation": re.compile(r'confirmation "([^"]+)"'),
    "tracking_id": re.compile(r"\b(t-[0-9a-f-]{8,})"),
    "id": re.compile(rf"\b((?:t-)?{_UUID})\b"),
    "call_id": re.compile(rf"\b({_UUID})\b"),
}
"""Where a result has what stands in place of these names in the arguments of a step."""

_NAMES = re.compile(r"\{(confirmation|tracking_id|call_id|id)\}")


def filled(arguments: dict[str, Any], results: Sequence[str]) -> dict[str, Any]:
    """The arguments with what the results had; raises `LookupError` if no result had it."""
    complete: dict[str, Any] = _filled(arguments, _newest_in(results))
    return complete


def _newest_in(results: Sequence[str]) -> Callable[[re.Match[str]], str]:
    """What stands in place of a name: the last one of the newest result that has one."""

    def newest(name: re.Match[str]) -> str:
        for result in reversed(results):
            found = _IDS[name[1]].findall(result)
            if found:
                return str(found[-1])
        raise LookupError(f"no result has a {name[1]}: {list(results)}")

    return newest


def _filled(value: Any, newest: Callable[[re.Match[str]], str]) -> Any:
    match value:
        case str():
            return _NAMES.sub(newest, value)
        case dict():
            return {key: _filled(inner, newest) for key, inner in value.items()}
        case list() | tuple():
            return [_filled(inner, newest) for inner in value]
        case _:
            return value
