"""What is logged, for tests."""

import io
import json
from contextlib import redirect_stderr
from typing import Any, Literal

from kallyai_mcp.logs.setup import configure, flush

Format = Literal["text", "json"]


def logging_to(format_: Format, level: str = "INFO") -> io.StringIO:
    stream = io.StringIO()
    with redirect_stderr(stream):
        configure(level, format_)
    return stream


def written_to(stream: io.StringIO) -> str:
    """What was logged to the stream; the log is written by a thread of its own."""
    for _ in range(120):
        if flush():
            break
    return stream.getvalue()


def entries(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written_to(stream).splitlines()]
