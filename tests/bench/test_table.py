"""Tests of the table and its targets, and the measurement of what a model reads, which is quick."""

import base64
import json
import re

import pytest

from tests.bench.__main__ import main
from tests.bench.http_load import is_answered
from tests.bench.table import ROWS, Row, Target, compared, render
from tests.bench.tokens import SOURCE, counted
from tests.cards.npm import missing

FASTER = Target("at most", 0.7)
AT_ONCE = Target("at least", 1000, "figure")
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: "

ROWS_OF_TWO = {
    "warm": [
        Row("over stdio", 1.244, "ms", "bare server", 2.0, 0.622, FASTER),
        Row("over stdio", 1.244, "ms", "the HTTP call", 0.4, 3.11),
    ],
    "many --calls 1": [
        Row("calls at once", 999, "calls", target=AT_ONCE),
        Row("memory", None, "kB", target=Target("at most", 50, "figure"), reason="there is no way to know"),
        Row("requests", 12345.6, "requests/s"),
    ],
}

TABLE_OF_TWO = """\
| measurement    | what          |            figure | against                | ratio | target            | verdict |
| -------------- | ------------- | ----------------: | ---------------------- | ----: | ----------------- | ------- |
| warm           | over stdio    |           1.24 ms | 2 ms, bare server      |  0.62 | ratio at most 0.7 | met     |
|                |               |           1.24 ms | 0.40 ms, the HTTP call |  3.11 |                   |         |
| many --calls 1 | calls at once |         999 calls |                        |       | at least 1,000    | missed  |
|                | memory        |      not measured |                        |       | at most 50        |         |
|                | requests      | 12,346 requests/s |                        |       |                   |         |

not measured: memory (many --calls 1): there is no way to know
1 of 2 targets are met."""


def test_all_measurements_are_one_table_with_what_was_not_measured_below() -> None:
    assert render(ROWS_OF_TWO) == TABLE_OF_TWO


def test_rows_are_the_same_after_a_round_trip_through_json() -> None:
    rows = [row for rows in ROWS_OF_TWO.values() for row in rows]

    assert ROWS.validate_json(ROWS.dump_json(rows)) == rows


@pytest.mark.parametrize(
    ("target", "figure", "ratio", "met"),
    [
        (Target("at most", 1.1), 900, 1.1, True),
        (Target("at most", 1.1), 900, 1.11, False),
        (Target("at least", 2.2), 1, 2.2, True),
        (Target("at least", 2.2), 3, 2.19, False),
        (Target("at most", 6000, "figure"), 6000, None, True),
        (Target("at most", 6000, "figure"), 6001, 0.1, False),
        (Target("at least", 200, "figure"), 199, 300, False),
        (Target("at least", 200, "figure"), 200, None, True),
    ],
)
def test_a_target_is_for_the_ratio_or_the_figure_and_its_bound_meets_it(
    target: Target, figure: float, ratio: float | None, met: bool
) -> None:
    assert Row("it", figure, "ms", ratio=ratio, target=target).met is met


def test_a_ratio_is_rounded_before_it_is_compared_with_its_target() -> None:
    assert Row("it", 1, "ms", ratio=0.7049, target=FASTER).met
    assert Row("it", 1, "ms", ratio=0.7051, target=FASTER).met is False


@pytest.mark.parametrize("target", [None, FASTER, AT_ONCE])
def test_a_row_without_a_target_or_a_figure_has_no_verdict(target: Target | None) -> None:
    assert Row("it", None, "ms", target=target, reason="no way to know").met is None


def test_a_comparison_has_medians_and_the_median_of_the_rounds_ratios() -> None:
    row = compared("it", "ms", ours=[1, 20, 3], theirs=[2, 10, 30], against="theirs", target=FASTER)

    assert (row.figure, row.base) == (3, 10)
    assert row.ratio == 0.5
    assert (row.figures, row.ratios) == ((1, 20), (0.1, 2))
    assert "| 3 ms (1–20) |" in render({"it": [row]})  # noqa: RUF001 - a range
    assert "| 0.50 (0.10–2.00) |" in render({"it": [row]})  # noqa: RUF001 - a range
    assert row.met


def test_a_comparison_needs_as_many_rounds_of_both() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compared("it", "ms", [1, 2], [1], "theirs")


def test_a_measurement_that_fails_is_reported_and_the_others_are_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    code = main(["no_such_measurement", "costs --longest 50"])

    printed = capfd.readouterr().out
    assert code == 1
    assert "not measured: everything (no_such_measurement): it failed with exit code 1\n" in printed
    assert re.search(r"\| list_calls, 50 calls +\| +[\d,]+ characters \| .*at most 6,000 +\| met ", printed)
    assert "get_transcript, 100 entries" in printed
    assert printed.endswith("3 of 3 targets are met.\n")


@pytest.mark.parametrize("received", [b"", HEAD, HEAD + b"12\r\n\r\n", HEAD + b'12\r\n\r\n{"result":1'])
def test_a_partial_response_is_not_complete(received: bytes) -> None:
    assert not is_answered(received)


def test_a_whole_response_is_complete() -> None:
    assert is_answered(HEAD + b'12\r\n\r\n{"result":1}')


@pytest.mark.parametrize(
    "received",
    [
        b'HTTP/1.1 429 Too Many Requests\r\nContent-Length: 12\r\n\r\n{"result":1}',
        HEAD + b'11\r\n\r\n{"error":1}',
        HEAD + b'27\r\n\r\n{"result":{"isError":true}}',
    ],
)
def test_an_error_ends_the_measurement(received: bytes) -> None:
    with pytest.raises(RuntimeError, match="not an answer"):
        is_answered(received)


@pytest.mark.skipif(missing() is not None, reason=str(missing()))
def test_tokens_are_counted_and_special_tokens_are_counted_as_text() -> None:
    assert counted(["", "hello world", "tool_call"]) == [0, 2, 2]
    (special,) = counted(["<|endoftext|>"])
    assert special > 1


def test_the_tokenizer_is_pinned_by_hash_without_a_host() -> None:
    text = (SOURCE / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    wanted = json.loads((SOURCE / "package.json").read_text(encoding="utf-8"))["dependencies"]

    assert "://" not in text
    assert {name: lock[f"node_modules/{name}"]["version"] for name in wanted} == wanted
    for name, package in lock.items():
        if name:
            assert len(base64.b64decode(package["integrity"].removeprefix("sha512-"))) == 64
