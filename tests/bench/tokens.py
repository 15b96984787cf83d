"""Counts tokens with npm's `gpt-tokenizer`, which contains its vocabulary; only the bench installs it."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests import npm
from tests.programs import run_well

SOURCE = Path(__file__).parent / "tokenizer"

ENCODING = "o200k_base"
"""The encoding of GPT-4o and GPT-5. For English text, the counts of other models differ by a few percent."""


def counted(texts: Sequence[str]) -> list[int]:
    """The number of tokens of each text, in the same order.

    Raises:
        RuntimeError: They can't be counted on this machine; the message is one line with the reason.
    """
    if missing := [program for program in ("npm", "node") if shutil.which(program) is None]:
        raise RuntimeError(f"there is no {' and no '.join(missing)} on this machine (Debian: apt-get install npm)")
    try:
        files = [SOURCE / name for name in ("package.json", "package-lock.json", "count.js")]
        folder = npm.installed("tokenizer", files)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "texts.json"
            file.write_text(json.dumps(list(texts)), encoding="utf-8")
            counts: list[int] = json.loads(run_well(["node", "count.js", ENCODING, file], folder=folder).stdout)
    except (OSError, RuntimeError) as error:
        raise RuntimeError(" ".join(str(error).split())[:200]) from error
    return counts
