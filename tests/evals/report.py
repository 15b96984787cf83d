# mypy: disable-error-code="import-not-found, misc, unused-ignore"
# Inspect AI is installed only in an environment of its own; __main__.py runs `run.py` there.
"""The table of an evaluation, from the log that Inspect AI has written."""

from collections.abc import Sequence
from typing import Any

from inspect_ai.scorer import SampleScore, ci_wilson, pass_k

from tests.evals.with_inspect import JUDGE

_HEADINGS = ("theme", "runs", "passed", "95 % interval", "pass^K", "tool calls", "tokens in", "tokens out")


def table(log: Any, *, model: str, server: str, epochs: int, judge: str | None) -> str:
    """The table as text: a row for each theme and one for all, then what the judge thinks of the wording.

    Args:
        log: The log.
        model: The model that was measured.
        server: The server that it used.
        epochs: How often each phrasing was run.
        judge: The model that judged the wording; None for none.
    """
    samples = [sample for sample in log.samples or [] if sample.scores and "outcome" in sample.scores]
    themes = sorted({sample.metadata["theme"] for sample in samples})
    rows = [
        *(_row(theme, [each for each in samples if each.metadata["theme"] == theme], epochs) for theme in themes),
        _row("all", samples, epochs),
    ]
    headings = [heading.replace("K", str(epochs)) for heading in _HEADINGS]
    widths = [max(len(row[column]) for row in [headings, *rows]) for column in range(len(headings))]
    lines = [f"{model} with {server}"]
    for row in [headings, *rows]:
        first, *others = zip(row, widths, strict=True)
        lines.append("  ".join([first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]))
    if errors := len(log.samples or []) - len(samples):
        lines.append(f"{errors} runs ended with an error of the provider or the harness; they are not counted.")
    if judge is not None:
        lines.append(_wording(samples, judge))
    return "\n".join(lines)


def _row(name: str, samples: Sequence[Any], epochs: int) -> list[str]:
    """Tool calls and tokens are means of one run."""
    if not samples:
        return [name, "0", *["-"] * (len(_HEADINGS) - 2)]
    low, high = _interval(samples)
    usage = [_usage(sample) for sample in samples]
    passed = sum(_passed(sample) for sample in samples)
    return [
        name,
        str(len(samples)),
        f"{passed / len(samples):.0%}",
        f"{low:.0%} to {high:.0%}",
        _all_of(samples, epochs),
        f"{sum(sample.store.get('tool_calls', 0) for sample in samples) / len(samples):.1f}",
        f"{sum(read for read, _ in usage) / len(samples):,.0f}",
        f"{sum(written for _, written in usage) / len(samples):,.0f}",
    ]


def _passed(sample: Any) -> float:
    return float(sample.scores["outcome"].value)


def _usage(sample: Any) -> tuple[int, int]:
    """The tokens that the model read, also from a cache, and wrote; without those of the judge."""
    judge = sample.role_usage.get(JUDGE)
    uses = [(use, 1) for use in sample.model_usage.values()] + ([(judge, -1)] if judge is not None else [])
    read = sum(
        sign * (use.input_tokens + (use.input_tokens_cache_read or 0) + (use.input_tokens_cache_write or 0))
        for use, sign in uses
    )
    return read, sum(sign * use.output_tokens for use, sign in uses)


def _interval(samples: Sequence[Any]) -> tuple[float, float]:
    """Wilson's interval; runs of one task depend on each other, so they count as a cluster if there are several."""
    scores = [
        SampleScore(score=sample.scores["outcome"], sample_metadata={"task": sample.metadata["task"]})
        for sample in samples
    ]
    tasks = {sample.metadata["task"] for sample in samples}
    found = ci_wilson(cluster="task" if len(tasks) > 1 else None)(scores)
    return found["lower"], found["upper"]


def _all_of(samples: Sequence[Any], epochs: int) -> str:
    """How probable it is that K runs of a phrasing all pass: the mean of Inspect's `pass_k`."""
    by_id: dict[str, list[Any]] = {}
    for sample in samples:
        by_id.setdefault(str(sample.id), []).append(sample.scores["outcome"])
    complete = [pass_k(epochs)(scores).as_float() for scores in by_id.values() if len(scores) >= epochs]
    return f"{sum(complete) / len(complete):.0%}" if complete else "-"


def _wording(samples: Sequence[Any], judge: str) -> str:
    values = [sample.scores["wording"].value for sample in samples if "wording" in sample.scores]
    if not values:
        return f"Wording: {judge} judged no run."
    good = sum(value == "C" for value in values)
    return f"Wording, no part of the table: {judge} found it good in {good} of {len(values)} runs."
