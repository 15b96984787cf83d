"""Errors when a client's file is read or changed."""

from kallyai_mcp.cli.errors import CommandError


class ClientFileError(CommandError):
    """A client's file can't be read or changed, and is unchanged. The message is one line that names the file."""


class HasCommentsError(ClientFileError):
    """A client's file has comments or trailing commas, which an edit would lose; the file is unchanged."""


class BadFormatError(ValueError):
    """A text is not in the format that the client reads.

    Attributes:
        reason: What is wrong, in a few words.
        line: The number of the line, from 1.
    """

    def __init__(self, reason: str, *, line: int) -> None:
        self.reason = reason
        self.line = line
        super().__init__(f"line {line}: {self.reason}")
