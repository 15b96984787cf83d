"""Runs the evaluations: does an agent with these tools do what its user asks, and claim only what happened?

    uv run python -m tests.evals --check
    uv run python -m tests.evals --model openai/gpt-5 [--tasks NAME ...] [--phrasings N] [--epochs K]
                                 [--server ours|bare|"COMMAND"] [--judge MODEL]

`--check` needs no model: it plays a scripted run of each task that must pass, and wrong runs that the graders must
fail; it exits with 1 when one of them did otherwise. docs/testing-agents.md has more.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.evals.environment import make_environment, packages_of
from tests.evals.options import parser
from tests.programs import ROOT, own_environment


def main() -> int:
    """Make the environment, and run `tests.evals.run` in it with the same arguments."""
    options = parser(__doc__).parse_args()
    if not options.check and options.model is None:
        return _fail("no model: name one with --model, such as openai/gpt-5; --check needs none")
    if shutil.which("uv") is None:
        return _fail("needs uv, which makes the environment of Inspect AI: pip install uv")
    packages = [*packages_of(options.model, options.judge), *options.with_package]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        try:
            python = make_environment(Path(folder) / "python", packages)
        except RuntimeError as error:
            return _fail(f"the environment of Inspect AI can't be made: {error}")
        return subprocess.run(
            [python, "-m", "tests.evals.run", *sys.argv[1:]],
            cwd=ROOT,
            env=own_environment(),
            check=False,
        ).returncode


def _fail(reason: str) -> int:
    print(f"tests.evals: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    raise SystemExit(main())
