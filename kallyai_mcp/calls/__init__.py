"""Placing calls: tools and the terminal use `Calls`, `Run` is one call on its way, and the ledger
has the records.

The rules of placing a call, which other modules name by their numbers:

1. A request leaves only after its record says `sent`, and only while this worker holds its lease,
   the account that is signed in is the record's account, and the record is young and due now. The
   time is checked again when there is a connection, before the first byte.
2. A call counts as refused only when that is proven: by an error of the reference that comes soon
   and names no call, or because there was no connection. After 429, the service's list must not
   show the call, either.
3. After a lost response the call may have been placed, so the service's list is searched for it. A
   call there is taken only if it can be no other.
4. The same key is sent again at most once, within a second of the first request. After that, the
   worker only looks. What stays unfound is `unknown`.
5. The idempotency key is derived from account, fingerprint, UTC date, and generation. So a lost
   ledger or a second machine sends the same key.
6. A duplicate is answered with the existing record: while that is open, unknown, or not delivered,
   for a minute after any outcome was delivered, and for an hour after an outcome that reached
   somebody. Another time after nobody was reached is no duplicate; more retries alone are. Before
   a call is placed again after nobody was reached, KallyAI is asked once more (`duplicates`).
7. Old records are deleted, delivered or not, but none that is scheduled, none that a living worker
   runs, and none that was delivered within a day. A record is old when nothing was heard of
   its call for so long.
8. Once `Calls.place` has returned, no error text says "not called".

What this means for users is in docs/reliability.md.
"""
