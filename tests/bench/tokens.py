"""How many tokens a model reads, by npm's `gpt-tokenizer`, which carries its vocabulary; only the bench installs it."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests import npm

SOURCE = Path(__file__).parent / "tokenizer"

ENCODING = "o200k_base"
"""Whose tokens: those of GPT-4o, GPT-5 and their kin. Other models' differ, for English by a few in a hundred."""


def counted(texts: Sequence[str]) -> list[int]:
    """The number of tokens of each of `texts`, in their order.

    Raises:
        RuntimeError: They can't be counted on this machine; the message says why, in one line.
    """
    if lacking := [program for program in ("npm", "node") if shutil.which(program) is None]:
        raise RuntimeError(f"there is no {' and no '.join(lacking)} on this machine (Debian: apt-get install npm)")
    try:
        ingredients = [SOURCE / name for name in ("package.json", "package-lock.json", "count.js")]
        folder = npm.installed("tokenizer", ingredients)
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "texts.json"
            file.write_text(json.dumps(list(texts)), encoding="utf-8")
            counts: list[int] = json.loads(npm.run("node", "count.js", ENCODING, str(file), folder=folder))
    except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
        raise RuntimeError(" ".join(str(error).split())[:200]) from error
    return counts
