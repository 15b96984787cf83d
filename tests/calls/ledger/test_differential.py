"""The ledger changes as the same decisions change records in a dict."""

from pathlib import Path


def test_random_events_leave_the_same_records_in_sqlite(tmp_path: Path) -> None:
    # Late: each worker imports this module, and hypothesis is large.
    from tests.calls.differential import check

    check(str(tmp_path / "ledger.db"), examples=8, steps=30, is_random=False)


def test_random_events_leave_the_same_records_in_postgresql(database_url: str) -> None:
    from tests.calls.differential import check

    check(database_url, examples=3, steps=30, is_random=False)
