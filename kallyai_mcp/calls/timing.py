"""The times and counts for placing calls, looking for them, and giving up."""

from dataclasses import dataclass, field

from kallyai_mcp.settings import Settings


@dataclass(frozen=True)
class Timing:
    """All values are seconds, except for counts and days. Some are settings.

    Attributes:
        repeat_after_delivery: How long after its delivery any outcome is the answer to a request
            for the same call.
        look_back: How long after a call that reached nobody KallyAI is asked about it before it is
            placed again.
        look_first: How long a request waits for that answer.
        wait_for_user: How long a list that waits for its user is the answer to a request for the
            same list.
        send_within: A request leaves only while its record is younger than this.
        resend_within: The same idempotency key is sent again only this long after the first send:
            no call can have ended by then, so the service still knows the key.
        refuse_within: A refusal that comes later does not prove that no call was placed: the
            minutes may have run out, or the token may have expired, during the call. Longer than a
            cold start, which takes up to 30 s.
        connect_tries: How many times a request is tried while nothing could be sent.
        connect_tries_when_due: As `connect_tries`, for a scheduled call: the machine may just have
            woken up.
        pause: The first pause between two tries; each next one is twice as long.
        longest_pause: The longest pause. A request is refused if the service asks for a longer one.
        first_look: The first pause before the search for a lost call; each next one is twice as
            long.
        longest_poll: The longest pause between two questions about a call in progress.
        poll_at_most: How long to ask for a call that the service says is in progress.
        calendar: How long to wait for an ended call, its calendar file, or its transcript.
        reread_others: The pause between two reads of the ledger for a call that another process
            runs.
        watch_active: The pause between two looks for calls whose worker has died, while calls are
            in progress.
        watch_idle: The longest pause between two checks whether the ledger has changed, or a
            scheduled call is due.
        purge: The pause between two deletions of old records.
        purge_pause: The pause between two transactions that delete or expire records, so that
            others can write.
    """

    settings: Settings = field(default_factory=Settings)
    repeat_after_delivery: float = 60
    look_back: float = 86_400
    look_first: float = 10
    wait_for_user: float = 172_800
    send_within: float = 120
    resend_within: float = 1.0
    refuse_within: float = 45
    connect_tries: int = 4
    connect_tries_when_due: int = 8
    pause: float = 0.5
    longest_pause: float = 30
    first_look: float = 0.1
    longest_poll: float = 5
    poll_at_most: float = 3600
    calendar: float = 5
    reread_others: float = 0.25
    watch_active: float = 1.0
    watch_idle: float = 10
    purge: float = 3600
    purge_pause: float = 0.05

    @property
    def repeat_after(self) -> float:
        """How long after its end a call that reached somebody is the answer to a request for the
        same call.
        """
        return self.settings.same_call_seconds

    @property
    def at_once(self) -> int:
        """How many calls of the lists that ask all candidates may be in progress at a time, for
        each account.
        """
        return self.settings.at_once

    @property
    def place_within(self) -> float:
        """How long after it was due a scheduled call may still be placed."""
        return self.settings.late_seconds

    @property
    def search(self) -> float:
        """How long to search for a call whose response was lost.

        Longer than a phone call lasts, because the service may list a call only after it has ended.
        """
        return self.settings.settle_seconds

    @property
    def keep_days(self) -> float:
        """How many days a record is kept."""
        return self.settings.keep_days

    @property
    def audit_days(self) -> float:
        """How many days a line of the audit trail is kept."""
        own = self.settings.audit_days
        return self.keep_days if own is None else own
