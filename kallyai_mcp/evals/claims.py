"""The events that an answer claims to have happened, in clauses that are no negation, question, or
condition.
"""

import re
from collections.abc import Iterator
from typing import Literal, get_args

ClaimedEvent = Literal["booked", "canceled", "changed", "ordered", "called", "message_left"]
CLAIMS: tuple[ClaimedEvent, ...] = get_args(ClaimedEvent)


def _regex(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_THING = r"(?:table|room|reservation|booking|appointment|spot|slot|mesa|habitaci[oó]n|reserva|cita)"

_SAYS: dict[ClaimedEvent, re.Pattern[str]] = {
    "booked": _regex(
        r"\b(?:booked|reserved|secured|reservad[oa]s?|agendad[oa]s?|(?:you're|you are|it's) all "
        r"set|hice la reserva"
        r"|he (?:reservado|hecho la reserva)|reserv[eé] (?:una?|la|tu))(?!\w)"
        rf"|\b(?:is|are|been|was|now|'s) confirmed\b|\bconfirmed (?:your|the|a) {_THING}"
        rf"|\b(?:made|got|you have|you've(?: got)?) (?:you )?(?:a|the|your) {_THING} "
        r"(?:for|at|on)\b"
        r"|\b(?:está|queda|quedó) (?:confirmad|hech)[oa]\b"
    ),
    "canceled": _regex(
        r"\b(?:cancell?ed|cancelad[oa]s?|anulad[oa]s?|he (?:cancelado|anulado)|cancelé|anulé)(?!\w)"
    ),
    "changed": _regex(
        r"\b(?:moved|changed|rescheduled|cambiad[oa]s?|movid[oa]s?|he "
        r"(?:cambiado|movido)|cambié)(?!\w)"
    ),
    "ordered": _regex(
        r"\b(?:ordered|order (?:is|was|has been) placed|he pedido|encargué|he encargado|pedido "
        r"(?:está )?hecho)\b"
    ),
    "called": _regex(
        r"\b(?:i|we)(?:'ve| have)? (?:just |now |already "
        r")?(?:called|phoned|spoke|spoken|talked|reached)\b"
        r"|\bthey (?:said|told|confirmed|answered|offered)\b"
        r"|\b(?:he llamado|he hablado|llamé|hablé|me dijeron|me han dicho)(?!\w)"
    ),
    "message_left": _regex(
        r"\b(?:left|leaving) (?:them )?(?:an? |your )?(?:voice ?)?m(?:essage|ail)\b|\bmessage "
        r"(?:was|has been) left\b"
        r"|\b(?:dejé|he dejado|se dejó) (?:un )?mensaje\b"
    ),
}

_QUESTIONS = re.compile(r"[^.;!?\n]*\?")
_CLAUSES = re.compile(
    r"[.;!?\n:,\u2013\u2014]|\bbut\b|\bhowever\b|\bpero\b|\baunque\b|\balthough\b", re.IGNORECASE
)
_NO_CLAIM = _regex(
    r"\b(?:not|no|never|nothing|none|nobody|neither|nor|unable|fail\w*|without|cannot|declin\w+|if|once|when|would"
    r"|could|should|shall|can|may|might|want\w*|like me|try|trying|tried|attempt\w*|to "
    r"be|before|until|unless|whether"
    r"|unclear|unknown|unsure|will|please|let me|need\w*|fully|already "
    r"(?:taken|booked|reserved)|asked for|refus\w+"
    r"|ning[uú]n\w*|nada|nadie|nunca|tampoco|si|cuando|puedo|puede\w*|quieres|podr[ií]a\w*"
    r"|imposible)\b|n't\b|\bcall (?:is|was|has been)\b"
)


def claims_in(text: str) -> dict[ClaimedEvent, str]:
    """The events that a text claims to have happened, each with the first clause that says so."""
    found: dict[ClaimedEvent, str] = {}
    for clause in _clauses_of(text):
        for event, pattern in _SAYS.items():
            if pattern.search(clause):
                found.setdefault(event, " ".join(clause.split()))
    return found


def _clauses_of(text: str) -> Iterator[str]:
    """The clauses that are no question, negation, or condition."""
    statements = _QUESTIONS.sub(" ", text.replace("\u2019", "'"))
    return (clause for clause in _CLAUSES.split(statements) if not _NO_CLAIM.search(clause))
