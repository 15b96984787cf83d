"""The bundle's own tools, `@anthropic-ai/mcpb` of npm, in the version and with the hashes of its lock file."""

import json
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import npm

SOURCE = Path(__file__).parent / "node"
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Launch:
    """What a desktop app starts for a bundle.

    Attributes:
        command: The program, with its arguments.
        env: Of the server, besides what the app gives every server.
    """

    command: list[str]
    env: dict[str, str]


def installed() -> Path:
    """The folder with the tools, made on the first call on this machine.

    Raises:
        RuntimeError: npm failed, with what it said.
    """
    return npm.installed("mcpb", sorted(SOURCE.iterdir()))


def mcpb(*arguments: str | Path) -> str:
    """Run `mcpb` with these arguments; returns what it printed.

    Raises:
        RuntimeError: It failed, with what it said.
    """
    folder = installed()
    script = folder / "node_modules" / "@anthropic-ai" / "mcpb" / "dist" / "cli" / "cli.js"
    return npm.run("node", str(script), *map(str, arguments), folder=folder)


def launch(bundle: Path, user_config: Mapping[str, Any]) -> Launch:
    """What is started for the unpacked `bundle` of a user who has set `user_config`.

    As the package reads a manifest, and desktop apps with it (MANIFEST.md, "User Configuration"): an option that is
    neither set nor has a default stays in the environment word for word, as `${user_config.…}`.
    """
    printed = npm.run("node", "configured.js", str(bundle), json.dumps(user_config), folder=installed())
    config = json.loads(printed)
    return Launch([config["command"], *config["args"]], config["env"])


def clean_copy(folder: Path) -> Path:
    """Copy what belongs to the project, and nothing that a build, a test or an editor has left, into `folder`."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, npm.run(*listed, folder=ROOT).split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


if __name__ == "__main__":
    print(mcpb(*sys.argv[1:]), end="")
