"""Errors of signing in, besides those of the API itself.

* KallyAIError
  x NotSignedInError
    - SignInTimeoutError      the browser did not come back from the sign-in page in time
    - SignInRefusedError      the sign-in page sent an error back
  x TokenStoreError           the token store can't be read or written
  x SignInBusyError           another process has the lock of the sign-in
* ValueError
  x WrongAddressError         a pasted address is not the one that the browser was sent to

No message here holds a token or a part of one, and no error that one of these is raised from does.
"""

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError


class SignInTimeoutError(NotSignedInError):
    """The browser did not come back from the sign-in page in time."""

    default_code = "sign_in_timed_out"

    def __init__(self) -> None:
        super().__init__("Nobody finished signing in before the link expired. Ask for a new link and open it.")


class SignInRefusedError(NotSignedInError):
    """The sign-in page sent an error back in place of tokens; `reason` is its code, such as `access_denied`."""

    default_code = "sign_in_refused"

    def __init__(self, error: str) -> None:
        if error == "access_denied":
            what = "The sign-in was canceled on KallyAI's page."
        else:
            what = f"KallyAI's page refused the sign-in ({error})."
        super().__init__(f"{what} To try again, ask for a new link and open it.", reason=error)


class TokenStoreError(KallyAIError):
    """The tokens can't be read from the token store, written to it, or deleted from it."""

    default_code = "token_store_failed"


class SignInBusyError(KallyAIError):
    """Another process had the lock of the sign-in for longer than a renewal takes."""

    default_code = "sign_in_busy"

    def __init__(self) -> None:
        super().__init__("Another kallyai-mcp process holds the sign-in and has not let go. Try again in a minute.")


class WrongAddressError(ValueError):
    """A pasted address is not the one that the sign-in page sent the browser to; the message says how it differs."""
