"""The error of all parts of the OAuth server, with the fields of OAuth's error responses."""


class OAuthError(Exception):
    """A request is refused. Its client gets the reason.

    Args:
        code: The `error` of the response (RFC 6749, sections 4.1.2.1 and 5.2; RFC 7591, section 3.2.2).
        description: The `error_description`, for the developer of the client.
        status: The HTTP status, if the client gets a response and not a redirect.
        retry_after: The seconds after which the same request may succeed; None if it never will.
    """

    def __init__(self, code: str, description: str, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status
        self.retry_after = retry_after
