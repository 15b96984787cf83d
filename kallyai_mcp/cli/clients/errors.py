"""What keeps a client's file from being read or changed."""

# Named for what happened, as in `api.errors`.
# ruff: noqa: N818


class ClientFileError(Exception):
    """A client's file can't be read or changed, and was left as it is; the message is one line that names it."""


class Broken(ValueError):
    """A text is not in the format that the client reads.

    Attributes:
        reason: What is wrong, in a few words.
        line: Where, counted from 1.
    """

    def __init__(self, reason: str, *, line: int) -> None:
        super().__init__(f"line {line}: {reason}")
        self.reason = reason
        self.line = line
