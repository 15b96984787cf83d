"""The sentence that tells KallyAI that a call is about the booking of an earlier one.

The reference has no field for it. The ledger has a column with the id, so that nothing has to
search for the sentence.
"""

from kallyai_mcp.api.models import Submission, SubmissionEcho
from kallyai_mcp.calls.instructions import instructions_of

BEGINNINGS = {
    "en": "This call is about the booking of call ",
    "es": "Esta llamada trata de la reserva de la llamada ",
}
"""How the instruction begins, by the language of the call. The `call_id` follows, and a colon."""


def about_call_id(submission: Submission | SubmissionEcho) -> str | None:
    """The `call_id` of the call whose booking a call is about; None if it is about none."""
    for instruction in instructions_of(submission):
        for beginning in BEGINNINGS.values():
            if instruction.startswith(beginning):
                return instruction.removeprefix(beginning).partition(":")[0]
    return None
