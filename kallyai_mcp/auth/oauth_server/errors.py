"""The one error of the OAuth server's parts, in the terms of OAuth's error responses."""


class OAuthError(Exception):
    """A request can't be served, and its client is told why.

    Args:
        code: The `error` of the response (RFC 6749, sections 4.1.2.1 and 5.2; RFC 7591, section 3.2.2).
        description: The `error_description`, for the developer of the client.
        status: The HTTP status, where the client gets a response and not a redirect.
        retry_after: Seconds after which the same request may succeed; None if it will not.
    """

    def __init__(self, code: str, description: str, status: int = 400, retry_after: float | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.status = status
        self.retry_after = retry_after
