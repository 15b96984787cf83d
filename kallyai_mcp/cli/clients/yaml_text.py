"""Changes one entry in a YAML text and leaves the rest unchanged; it has the functions of `json_text`."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kallyai_mcp.cli.clients.errors import BadFormatError
from kallyai_mcp.cli.clients.round_trip import checked, drop_from, put_into

if TYPE_CHECKING:
    from ruamel.yaml import YAML


def read(text: str) -> dict[str, Any]:
    """Parse a text.

    Raises:
        BadFormatError: It is not YAML, or not a mapping.
    """
    document = _load(text, "safe")
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise BadFormatError("it is not a mapping", line=1)
    return document


def put(text: str, path: Sequence[str], value: Any) -> str:
    """`text` with `value` at `path`; missing mappings on the path are added.

    Raises:
        BadFormatError: `text` is not YAML, or a value on the path is not a mapping.
    """
    return _changed(text, partial(put_into, path=path, value=value, kind="a mapping", line_of=lambda _: 1))


def drop(text: str, path: Sequence[str]) -> str:
    """`text` without the value at `path`, if there is one.

    Raises:
        BadFormatError: `text` is not YAML.
    """
    return _changed(text, partial(drop_from, path=path))


def _changed(text: str, change: Callable[[Any], None]) -> str:
    wanted = read(text)
    document = _load(text, "rt") if wanted else {}
    for tree in (wanted, document):
        change(tree)
    stream = io.StringIO()
    _yaml("rt").dump(document, stream)
    return checked(text, stream.getvalue(), read, wanted)


def _load(text: str, kind: str) -> Any:
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml(kind).load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or "it is not YAML"
        raise BadFormatError(reason, line=mark.line + 1 if mark is not None else 1) from None
    except RecursionError:
        raise BadFormatError("it is nested too deeply", line=1) from None


def _yaml(kind: str) -> "YAML":
    from ruamel.yaml import YAML  # late: one client needs it

    yaml = YAML(typ=kind, pure=True)
    yaml.preserve_quotes = True
    yaml.width = 1_000_000  # no line is wrapped
    return yaml
