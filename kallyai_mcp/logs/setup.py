"""Sets up the log of a process."""

import logging
import sys
from typing import Literal

from kallyai_mcp.logs.lines import LineFormatter
from kallyai_mcp.logs.writer import StreamWriter, writer_of

_LIBRARY_LEVELS = {
    "mcp": logging.INFO,
    "mcp.server.mcpserver.server": logging.WARNING,
    "sse_starlette": logging.INFO,
    "httpcore2": logging.INFO,
}
"""The lowest level that is logged, by logger of a library.

Below it, these libraries log headers, whole messages with arguments and transcripts, or the text of
each tool error.
"""


def flush() -> bool:
    """Wait until the log is written, half a second at most; False if lines still wait."""
    return all(handler.wait_until_written() for handler in _own_handlers())


def _own_handlers() -> list[StreamWriter]:
    """The handlers that `configure` has set up."""
    handlers = logging.getLogger().handlers
    return [handler for handler in handlers if isinstance(handler, StreamWriter)]


def _replace_handlers(logger: logging.Logger) -> None:
    """Have a logger that writes to stderr by itself not wait for its reader, either.

    uvicorn sets up such a log, of its own format, where it imports this program.
    """
    for handler in list(logger.handlers):
        if type(handler) is logging.StreamHandler and handler.stream is sys.stderr:
            own = StreamWriter(writer_of(sys.stderr))
            own.setFormatter(handler.formatter)
            logger.removeHandler(handler)
            logger.addHandler(own)


def configure(level: str, log_format: Literal["text", "json"] = "text") -> None:
    """Set up the log of this process.

    Call it before the server is built, so that the MCP SDK does not set up its own. `level` is the
    lowest level that is logged. A line that can't be formatted is left out, and all are if stderr
    is closed.
    """
    root = logging.getLogger()
    for former in _own_handlers():
        former.flush()
        root.removeHandler(former)
    if sys.stderr is None:
        handler: logging.Handler = logging.NullHandler()
    else:
        handler = StreamWriter(writer_of(sys.stderr))
    handler.setFormatter(LineFormatter(is_json=log_format == "json"))
    root.addHandler(handler)
    root.setLevel(level)
    _replace_handlers(logging.getLogger("uvicorn"))
    # Logging would print such a line's arguments, which are not redacted.
    logging.raiseExceptions = False
    for name, lowest in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(max(root.level, lowest))
