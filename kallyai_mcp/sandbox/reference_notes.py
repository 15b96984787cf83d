"""What the sandbox does where the reference says nothing; `/docs` shows it."""

BEYOND_THE_REFERENCE = (
    "Two statuses are not in the reference: `in_progress` until the call has ended, and `terminated` when the service"
    " ended it. While a call is in progress, `highlights`, `next_steps`, and `duration_seconds` are null.",
    "`POST /v1/calls` answers when the call has ended. A client that disconnects does not end the call. The list and"
    " the details have the call from the moment it is placed.",
    "A request to `POST /v1/calls` with an OAuth client's token and no Idempotency-Key gets a generated key: the same"
    " client, account, and body are the same call until an hour after the call has ended. With the token of a"
    " first-party sign-in (CLI, Google, or Apple), every request without a key is a new call.",
    "An Idempotency-Key is a UUID. It belongs to the account and does not expire. With another body it is"
    " `idempotency_key_reused`, status 409.",
    "`session_id` is accepted and not used. Unknown fields beside `submission` are ignored; unknown fields in it are"
    " refused.",
    "Codes that are not in the reference: `validation_error`, `invalid_token`, `token_expired`, `not_found`,"
    " `method_not_allowed`, `conflict`, `idempotency_key_reused`, `phone_not_provisioned`, `rate_limited`,"
    " `service_unavailable`, and `internal_error`; at the sign-in `invalid_redirect_uri`, `sign_in_expired`,"
    " `unknown_account`, `account_not_found`, and the codes of RFC 6749.",
    "An error of status 402 has both the fields of QuotaExceededResponse and the standard `error`.",
    "A number that is not in E.164, or that its country can't have, is a `validation_error`; test numbers are"
    " exempt. A premium-rate prefix is a `toll_number`, whatever follows.",
    "A date or time is past if it is past in the request's `timezone`. An appointment may be up to 366 days ahead.",
    "A call costs its length, rounded up to a tenth of a minute, whatever its status, and counts from the moment it is"
    " placed. The last call of a period may exceed the minutes.",
    "The statistics count by calendar month, on a yearly plan by year. A subscription renews or ends on the 22nd of a"
    " month, on a yearly plan on January 22.",
    "The list is newest first. `total` counts the calls of all pages. `business_name` is left out if none was sent.",
    "`GET /v1/calls/{call_id}/calendar.ics` answers `not_found`, status 404, if no appointment with a date was agreed.",
    "The responses of the token endpoints have `token_type`, which RFC 6749 requires. An access token is valid for an"
    " hour, a refresh token for 90 days and for one use; a second use revokes the whole sign-in.",
    "A sign-in that the user cancels redirects with `error=access_denied`. An error that can't be sent to a"
    " `redirect_uri` is a page in a browser, and JSON for other clients.",
    "The billing link works for an hour and needs no token.",
)
"""One choice per item."""
