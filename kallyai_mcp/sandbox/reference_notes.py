"""What the sandbox does where the reference says nothing; `/docs` shows it."""

BEYOND_THE_REFERENCE = (
    "A request to `POST /v1/calls` with an OAuth client's token and no Idempotency-Key gets a generated key: the same"
    " client, account, and body are the same call until an hour after the call has ended. With the token of a"
    " first-party sign-in (CLI, Google, or Apple), every request without a key is a new call.",
    "An Idempotency-Key is a UUID. It belongs to the account and does not expire. With another body it is"
    " `idempotency_key_reused`, status 409.",
)
"""One choice per item."""
