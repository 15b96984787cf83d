"""The arguments of `python -m tests.evals`, for it and for what it runs in the environment of Inspect AI."""

import argparse

from tests.evals.task import PHRASINGS


def parser(description: str | None) -> argparse.ArgumentParser:
    """The parser of the arguments."""
    found = argparse.ArgumentParser(prog="python -m tests.evals", description=(description or "").partition("\n")[0])
    found.add_argument("--check", action="store_true", help="play the scripted runs; needs no model")
    found.add_argument("--model", help="a model as Inspect AI names it, such as openai/gpt-5")
    found.add_argument("--tasks", nargs="+", default=[], metavar="NAME", help="ids or themes of tasks (default: all)")
    found.add_argument(
        "--phrasings",
        type=int,
        default=PHRASINGS,
        choices=range(1, PHRASINGS + 1),
        help=f"how many phrasings of each task (default: {PHRASINGS})",
    )
    found.add_argument("--epochs", type=int, default=1, metavar="K", help="how often each is run (default: 1)")
    found.add_argument(
        "--server",
        default="ours",
        metavar="SERVER",
        help="ours, bare (ours without descriptions), or the command of another server over stdio (default: ours)",
    )
    found.add_argument("--judge", metavar="MODEL", help="a model that judges the wording apart from the result")
    found.add_argument("--at-once", type=int, default=8, metavar="N", help="how many tasks run at once (default: 8)")
    found.add_argument("--logs", default="logs", metavar="FOLDER", help="for the logs of Inspect AI (default: logs)")
    found.add_argument(
        "--with",
        dest="with_package",
        action="append",
        default=[],
        metavar="PACKAGE",
        help="one more package in the environment, such as a provider's",
    )
    return found
