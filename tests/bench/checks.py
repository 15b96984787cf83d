"""Tests of the measurements, which take too long for the suite: `uv run pytest tests/bench/checks.py`.

`cold_start`, `over_http`, and `warm` are imported only, because each starts four to six processes; so does PostgreSQL.
"""

import importlib
import re
from collections.abc import Callable

import pytest

from tests.bench import ledger, many_calls, placing, sandbox_calls
from tests.bench.__main__ import MEASUREMENTS, main
from tests.bench.http_load import is_answered
from tests.bench.table import ROWS, Row, Target, compared, render
from tests.bench.tokens import counted

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


@pytest.mark.parametrize(
    ("measure", "first"),
    [
        pytest.param(lambda: ledger.rows([1000], rounds=2), "last call, 1,000 records, SQLite", id="ledger"),
        pytest.param(lambda: many_calls.rows("stdio", calls=1), "calls in progress at once", id="many_calls"),
        pytest.param(lambda: placing.rows(seconds=0.01, rounds=1), "one call placed, SQLite", id="placing"),
        pytest.param(lambda: sandbox_calls.rows(calls=1), "phone calls that the sandbox places", id="sandbox_calls"),
    ],
)
def test_a_measurement_runs(measure: Callable[[], list[Row]], first: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ledger, placing):
        monkeypatch.setattr(module, "has_server", lambda: False)
    monkeypatch.setitem(many_calls.SPEEDS, "stdio", 1000.0)

    rows = measure()

    assert rows[0].what.startswith(first)
    assert rows[0].figure


def test_each_measurement_can_be_imported() -> None:
    for name in {measurement.split()[0] for measurement in MEASUREMENTS}:
        assert callable(importlib.import_module(f"tests.bench.{name}").rows)


def test_all_measurements_are_one_table_with_what_was_not_measured_below() -> None:
    rows = [row for rows in ROWS_OF_TWO.values() for row in rows]

    assert render(ROWS_OF_TWO) == TABLE_OF_TWO
    assert ROWS.validate_json(ROWS.dump_json(rows)) == rows


def test_a_target_is_for_the_ratio_or_the_figure_and_its_bound_meets_it() -> None:
    assert [Row("it", 900, "ms", ratio=ratio, target=FASTER).met for ratio in (0.7, 0.7049, 0.7051)] == [
        True,
        True,
        False,
    ]
    assert [Row("it", figure, "ms", target=AT_ONCE).met for figure in (1000, 999)] == [True, False]
    assert Row("it", None, "ms", target=FASTER, reason="no way to know").met is None


def test_a_comparison_has_medians_and_the_median_of_the_rounds_ratios() -> None:
    row = compared("it", "ms", ours=[1, 20, 3], theirs=[2, 10, 30], against="theirs", target=FASTER)

    assert (row.figure, row.base, row.ratio) == (3, 10, 0.5)
    assert "| 3 ms (1–20) |" in render({"it": [row]})  # noqa: RUF001 - a range
    assert "| 0.50 (0.10–2.00) |" in render({"it": [row]})  # noqa: RUF001 - a range


def test_a_measurement_that_fails_is_reported_and_the_others_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    code = main(["no_such_measurement", "costs --longest 50"])

    printed = capfd.readouterr().out
    assert code == 1
    assert "not measured: everything (no_such_measurement): it failed with exit code 1\n" in printed
    assert re.search(r"\| list_calls, 50 calls +\| +[\d,]+ characters \| .*at most 6,000 +\| met ", printed)
    assert printed.endswith("3 of 3 targets are met.\n")


def test_only_a_whole_response_without_an_error_is_counted() -> None:
    assert is_answered(HEAD + b'12\r\n\r\n{"result":1}')
    for partial in (b"", HEAD, HEAD + b"12\r\n\r\n", HEAD + b'12\r\n\r\n{"result":1'):
        assert not is_answered(partial)
    refused = HEAD.replace(b"200 OK", b"429 Too Many Requests") + b'12\r\n\r\n{"result":1}'
    for error in (refused, HEAD + b'11\r\n\r\n{"error":1}', HEAD + b'27\r\n\r\n{"result":{"isError":true}}'):
        with pytest.raises(RuntimeError, match="not an answer"):
            is_answered(error)


def test_tokens_are_counted_and_special_tokens_are_counted_as_text() -> None:
    zero, two, also_two, special = counted(["", "hello world", "tool_call", "<|endoftext|>"])

    assert (zero, two, also_two) == (0, 2, 2)
    assert special > 1
