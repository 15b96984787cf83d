"""Why a client's file was not read or changed."""

from kallyai_mcp.cli.errors import CommandError
from kallyai_mcp.languages import localized


class ClientFileError(CommandError):
    """A client's file can't be read or changed, and was left as it is; the message is one line that names the file."""


class HasCommentsError(ClientFileError):
    """A client's file has comments or trailing commas, which an edit would lose; it was left as it is."""


class BadFormatError(ValueError):
    """A text is not in the format that the client reads.

    Attributes:
        reason: What is wrong, in a few words.
        line: Where, counted from 1.
    """

    def __init__(self, english: str, spanish: str, *, line: int) -> None:
        self.reason = localized(english, spanish)
        self.line = line
        super().__init__(f"line {line}: {self.reason}")
