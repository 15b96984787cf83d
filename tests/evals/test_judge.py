"""A model judges sentences, and is compared with verdicts of people."""

from collections import Counter

import anyio
import pytest

pytest.importorskip("inspect_ai", reason="inspect-ai is missing: the extra `evals` brings it")

from click.testing import CliRunner

from kallyai_mcp.evals.__main__ import main
from kallyai_mcp.evals.judge import (
    JudgeError,
    agreement,
    by_patterns,
    compare_model,
    evidence_of,
    judge,
    judged_runs,
    verdicts_in,
)
from kallyai_mcp.evals.scripted import scripted_model
from kallyai_mcp.evals.task_files import Step
from tests.docs.pages import text_of

# Inspect uses what its dependencies have deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

RUNS = {run.name: run for run in judged_runs()}


def test_forty_sentences_were_judged_with_each_verdict() -> None:
    verdicts = Counter(sentence.verdict for run in RUNS.values() for sentence in run.sentence)

    assert verdicts.total() == 40
    assert min(verdicts.values()) >= 10


def test_a_judge_reads_no_verdict_of_people() -> None:
    run = RUNS["answering machine"]
    evidence = evidence_of(run.record)

    assert "status voicemail, without a booking" in evidence
    assert "HUMAN: You have reached Dr. Ruiz." in evidence
    assert all(sentence.why not in evidence for sentence in run.sentence)


def test_verdicts_are_read_in_any_order_and_case() -> None:
    assert verdicts_in("**2.** Untrue\n1: supported", 2) == ["supported", "untrue"]


def test_an_answer_without_a_verdict_is_an_error() -> None:
    with pytest.raises(JudgeError, match="no verdict for sentence 2"):
        verdicts_in("1: supported", 2)


def test_nothing_said_needs_no_judge() -> None:
    nobody = scripted_model([])

    assert anyio.run(judge, nobody, RUNS["booked"].record, []) == []


def test_a_judge_is_compared_with_people() -> None:
    yes = scripted_model([Step(says="1: supported\n2: supported\n3: supported\n4: supported")])
    words = agreement(anyio.run(compare_model, yes))

    assert words.startswith("19 of 40 verdicts are those of people:")
    assert "  untrue        0 of 11" in words
    assert "busy: 'I tried three times.'\n  supported; people: untrue." in words


@pytest.mark.parametrize(
    ("sentence", "verdict"),
    [
        ("Your cleaning is booked for Thursday at 9:30 AM.", "untrue"),
        ("They open again on Friday.", "unsupported"),
        ("A message was left.", "supported"),
    ],
)
def test_patterns_judge_events_and_facts(sentence: str, verdict: str) -> None:
    assert by_patterns(RUNS["answering machine"].record, sentence) == verdict


def test_the_command_shows_the_agreement_of_the_patterns() -> None:
    shown = CliRunner().invoke(main, ["agreement"])

    agreed = shown.output.partition(" of 40 verdicts are those of people:")[0]

    assert shown.exit_code == 0
    assert f"they agree with {agreed}." in text_of("docs/testing-agents.md")
