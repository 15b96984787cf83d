"""Each statement of the reference has a test."""

from importlib import import_module
from pathlib import Path

from tests.reference.statements import not_covered


def test_no_statement_of_the_reference_is_without_a_test() -> None:
    for path in Path(__file__).parent.glob("test_*.py"):
        import_module(f"tests.reference.{path.stem}")

    assert not_covered() == []
