"""Measurements run at their smallest size and return their rows; `costs` does so in `test_table`.

Three are imported only: `cold_start`, `over_http`, and `warm` start four to six processes, and each would take longer
than all tests here together. So would PostgreSQL.
"""

import importlib
from collections.abc import Callable

import pytest

from tests.bench import ledger, many_calls, placing, sandbox_calls
from tests.bench.__main__ import MEASUREMENTS
from tests.bench.table import Row


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


@pytest.mark.parametrize("name", sorted({measurement.split()[0] for measurement in MEASUREMENTS}))
def test_a_measurement_can_be_imported(name: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.{name}").rows)
