"""The npm package `@anthropic-ai/mcpb`, which packs bundles, in the version of the lock file."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import npm
from tests.programs import ROOT, run_well

SOURCE = Path(__file__).parent / "node"


@dataclass(frozen=True)
class Launch:
    """What a desktop app starts for a bundle.

    Attributes:
        command: The program and its arguments.
        env: The server's environment, besides what the app gives every server.
    """

    command: list[str]
    env: dict[str, str]


def installed() -> Path:
    """The folder with the package, which is installed on the first call on this machine.

    Raises:
        RuntimeError: npm failed; the message has its output.
    """
    return npm.installed("mcpb", sorted(SOURCE.iterdir()))


def mcpb(*arguments: str | Path) -> str:
    """Run `mcpb` with these arguments; returns its output.

    Raises:
        RuntimeError: It failed; the message has its output.
    """
    folder = installed()
    script = folder / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
    return run_well(["node", script, *arguments], folder=folder).stdout


def launch(bundle: Path, user_config: Mapping[str, Any]) -> Launch:
    """What a desktop app starts for the unpacked `bundle` and a user's configuration.

    The package itself reads the manifest, as desktop apps do (MANIFEST.md, "User Configuration"): an option that is
    not set and has no default stays in the environment as the literal `${user_config.…}`.
    """
    command = ["node", "configured.js", str(bundle), json.dumps(user_config)]
    config = json.loads(run_well(command, folder=installed()).stdout)
    return Launch([config["command"], *config["args"]], config["env"])


def clean_copy(folder: Path) -> Path:
    """Copy the project's own files into `folder`, without files that a build, a test, or an editor has left."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, run_well(listed).stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


if __name__ == "__main__":
    print(mcpb(*sys.argv[1:]), end="")
