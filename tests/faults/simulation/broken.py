"""Builds of the program that are broken on purpose, each with the run in which the oracle must see
it.

Each breaks one promise. A promise that is kept twice, such as by a check and by an index of the
database, is broken in all places.
"""

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from tests.faults.simulation.plan import Plan


@dataclass(frozen=True)
class Patch:
    """A change of one module, named without `kallyai_mcp.`: `old`, which it has once, becomes
    `new`.
    """

    name: str
    old: str
    new: str

    @property
    def module(self) -> str:
        """The module's whole name."""
        return f"kallyai_mcp.{self.name}"

    def apply(self, source: str) -> str:
        """The changed source.

        Raises:
            ValueError: The source has `old` not exactly once, so the patch has to be adapted to it;
                the message says how.
        """
        if source.count(self.old) != 1:
            path = f"{self.module.replace('.', '/')}.py"
            raise ValueError(
                "A broken build in tests/faults/simulation/builds.py does not fit any more: "
                f"{path} has {source.count(self.old)} times, and should have once, {self.old!r}. "
                "Take the lines that do the same now into its Patch, and try it with "
                "`uv run python -m tests.faults --prove`."
            )
        return source.replace(self.old, self.new)

    def source(self) -> str:
        """The changed source of the module as it is now."""
        spec = importlib.util.find_spec(self.module)
        assert spec is not None
        assert spec.origin is not None
        return self.apply(Path(spec.origin).read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Broken:
    """A broken build: what is broken, the run that shows it, and the changes, without which that
    breaks no rule.

    With `shared_runs`, two workers share a PostgreSQL database, and so many runs of other seeds
    show it together.
    """

    name: str
    plan: Plan
    patches: tuple[Patch, ...]
    shared_runs: int = 0

    @property
    def plans(self) -> tuple[Plan, ...]:
        """The plan of each run."""
        return tuple(
            replace(self.plan, seed=self.plan.seed + number)
            for number in range(max(1, self.shared_runs))
        )


def break_program(broken: Broken) -> None:
    """Let this process import the broken build.

    Raises:
        RuntimeError: It has imported the real one already, which would be judged in its place.
    """
    if imported := [patch.module for patch in broken.patches if patch.module in sys.modules]:
        raise RuntimeError(f"this process has imported {', '.join(imported)} already")
    sys.meta_path.insert(0, _PatchedModules(broken.patches))


class _PatchedModules(importlib.abc.MetaPathFinder):
    def __init__(self, patches: Sequence[Patch]) -> None:
        self._patches = patches

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        mine = [patch for patch in self._patches if patch.module == fullname]
        spec = importlib.machinery.PathFinder.find_spec(fullname, path, target) if mine else None
        if spec is None or spec.origin is None:
            return None
        spec.loader = _PatchedLoader(fullname, spec.origin, mine)
        return spec


class _PatchedLoader(importlib.machinery.SourceFileLoader):
    def __init__(self, fullname: str, path: str, patches: Sequence[Patch]) -> None:
        super().__init__(fullname, path)
        self._patches = patches

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002 - the loader of one module
        source = self.get_data(self.path).decode()
        for patch in self._patches:
            source = patch.apply(source)
        return self.source_to_code(source.encode(), self.path)
