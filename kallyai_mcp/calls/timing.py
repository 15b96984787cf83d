"""The times and counts by which calls are placed, looked for and given up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """All in seconds, but for counts and `keep_days`.

    Attributes:
        recent: For how long the same submission is not placed again after it succeeded.
        settle: For how long a call whose answer was lost is looked for. Longer than a phone call lasts, because a
            service may show a call only once it has ended.
        surely_ringing: For how long after its request has left a call can't have ended yet: not even a busy line is
            reached, heard and given up in less. Until then a service still knows the call's key.
        sends: How often the request for one call may be sent in all, when its answers are lost.
        unsent_tries: How often it is tried when nothing could be sent at all.
        pause: The first wait between two tries; each is twice the one before.
        first_look: The first wait before a call whose answer was lost is looked for; it doubles, too.
        longest_pause: No wait is longer; a service that asks for more is not waited for.
        follow: For how long a call that the service says is under way is followed.
        beat: How often a process that has calls under way says that it is alive.
        silence: After how long without a word it counts as dead.
        keep_days: After how many days a record is removed.
    """

    recent: float = 600
    settle: float = 300
    surely_ringing: float = 1.0
    sends: int = 4
    unsent_tries: int = 4
    pause: float = 0.5
    first_look: float = 0.1
    longest_pause: float = 30
    follow: float = 3600
    beat: float = 2
    silence: float = 10
    keep_days: float = 90
