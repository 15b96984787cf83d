"""What can go wrong with a sign-in, beyond what the API itself says.

* KallyAIError
  x NotSignedInError
    - SignInTimeoutError      nobody came back from the sign-in page in time
    - SignInRefusedError       the sign-in page sent an error back
  x TokenStoreError           where the sign-in is kept can't be used
  x SignInBusyError            another process holds on to the sign-in
* ValueError
  x WrongAddressError          a pasted address is not ours

No message here, and no error that one of these is raised from, holds a token or a part of one.
"""

# Named for what happened, as in `api.errors`.

from kallyai_mcp.api.errors import KallyAIError, NotSignedInError


class SignInTimeoutError(NotSignedInError):
    """Nobody came back from the sign-in page in time."""

    default_code = "sign_in_timed_out"

    def __init__(self) -> None:
        super().__init__("Nobody finished signing in before the link expired. Ask for a new link and open it.")


class SignInRefusedError(NotSignedInError):
    """The sign-in page sent an error back in place of tokens; `reason` is its code, such as `access_denied`."""

    default_code = "sign_in_refused"

    def __init__(self, error: str) -> None:
        if error == "access_denied":
            what = "The sign-in was cancelled on KallyAI's page."
        else:
            what = f"KallyAI's page refused the sign-in ({error})."
        super().__init__(f"{what} To try again, ask for a new link and open it.", reason=error)


class TokenStoreError(KallyAIError):
    """A sign-in can't be read from, written to or removed from where it is kept."""

    default_code = "token_store_failed"


class SignInBusyError(KallyAIError):
    """Another process held on to the sign-in for longer than a renewal takes."""

    default_code = "sign_in_busy"

    def __init__(self) -> None:
        super().__init__("Another kallyai-mcp process holds the sign-in and has not let go. Try again in a minute.")


class WrongAddressError(ValueError):
    """A pasted address is not the one that the sign-in page sent the browser to; the message says how it differs."""
