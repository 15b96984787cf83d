"""Who asked not to be called again: when such a number is called all the same."""

from dataclasses import replace

import pytest

from kallyai_mcp.calls.opt_outs import (
    OptOut,
    OptOutReason,
    Permission,
    opt_out_in,
    opt_out_of,
    permission,
    replaces,
)
from kallyai_mcp.calls.policy import NOT_LOOKED_AT, Consent
from kallyai_mcp.calls.records import CallState
from kallyai_mcp.calls.speech.disclosure import Disclosure
from kallyai_mcp.calls.speech.machine import SpokeWith
from kallyai_mcp.calls.speech.sentences import Words
from kallyai_mcp.calls.speech.spoken import Spoken
from tests.calls.ledger.test_stored_errors import ERRORS
from tests.calls.ledgers import HERE, NOW, asked, outcome

ASKED = OptOut(HERE, "2026-01-25", OptOutReason.ASKED, "c-1", "Please don't call us again.")
LATER = replace(ASKED, day="2026-01-26", call_id="c-2")
SUPPRESSED = OptOut(HERE, "2026-01-25", OptOutReason.SUPPRESSED)
OPTED_OUT = Spoken(
    Disclosure(said=False),
    SpokeWith.PERSON,
    opt_out=Words("Please don't call us again.", "00:00:12"),
)

UNASKED = Consent("test", "not_needed")
NEVER = Consent("test", "never_asks")
FORM = Consent("test", "form", opt_outs=(ASKED.id,))
CONFIRMED = replace(FORM, how="confirmation")
LIFTED = replace(FORM, lifts_opt_out=True)


@pytest.mark.parametrize(
    ("opt_out", "consent", "found"),
    [
        (None, NOT_LOOKED_AT, Permission.GIVEN),
        (None, UNASKED, Permission.GIVEN),
        (None, NEVER, Permission.GIVEN),
        (ASKED, NOT_LOOKED_AT, Permission.REFUSED),
        (ASKED, NEVER, Permission.REFUSED),
        (ASKED, replace(NEVER, opt_outs=(ASKED.id,)), Permission.REFUSED),
        (ASKED, UNASKED, Permission.ASK),
        (ASKED, replace(FORM, opt_outs=()), Permission.ASK),
        (ASKED, FORM, Permission.GIVEN),
        (ASKED, CONFIRMED, Permission.GIVEN),
        (ASKED, LIFTED, Permission.GIVEN),
        (LATER, FORM, Permission.ASK),
        (SUPPRESSED, FORM, Permission.ASK),
        (SUPPRESSED, replace(FORM, opt_outs=(SUPPRESSED.id,)), Permission.GIVEN),
    ],
)
def test_who_may_be_called(opt_out: OptOut | None, consent: Consent, found: Permission) -> None:
    assert permission(opt_out, consent) is found


@pytest.mark.parametrize(
    ("known", "found", "is_replaced"),
    [
        (SUPPRESSED, ASKED, True),
        (ASKED, SUPPRESSED, False),
        (ASKED, replace(SUPPRESSED, day="2026-01-27"), False),
        (ASKED, LATER, True),
        (LATER, ASKED, False),
        (ASKED, ASKED, False),
    ],
)
def test_which_opt_out_of_a_number_counts(
    known: OptOut, found: OptOut, *, is_replaced: bool
) -> None:
    assert replaces(known, found) is is_replaced


def test_words_of_a_call_opt_its_number_out() -> None:
    ended = replace(asked(), state=CallState.ENDED, call_id="c-1", call=outcome(), spoken=OPTED_OUT)

    assert opt_out_of(ended, NOW) == ASKED
    assert opt_out_of(replace(ended, spoken=replace(OPTED_OUT, opt_out=None)), NOW) is None
    assert opt_out_of(replace(ended, spoken=None), NOW) is None


def test_a_refused_number_did_not_say_so() -> None:
    [error] = [one for one in ERRORS if one.code == "suppression_violation"]
    found = opt_out_of(replace(asked(), state=CallState.REFUSED, error=error), NOW)

    assert found == SUPPRESSED
    assert "they asked" not in str(SUPPRESSED.error)
    assert "they asked" in str(ASKED.error)


def test_a_long_quotation_is_shortened() -> None:
    long = replace(OPTED_OUT, opt_out=Words("No more calls. " * 40, None))
    ended = replace(asked(), state=CallState.ENDED, call_id="c-1", call=outcome(), spoken=long)
    found = opt_out_of(ended, NOW)

    assert found is not None
    assert len(found.quote or "") == 200


def test_a_call_of_another_program_counts() -> None:
    call = outcome().model_copy(
        update={
            "created_at": NOW,
            "submission": outcome().submission.model_copy(update={"respondent_phone": HERE}),
        }
    )

    assert opt_out_in(OPTED_OUT, call) == ASKED
    assert opt_out_in(OPTED_OUT, outcome()) is None
