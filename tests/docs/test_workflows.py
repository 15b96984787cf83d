"""The justfile and the workflows run what exists, with pinned actions."""

import importlib.util
import re

from tests.docs.pages import ROOT, text_of

GITHUB = ROOT / ".github"


def test_modules_that_are_to_be_run_exist() -> None:
    modules = set(re.findall(r"python -m (tests[\w.]*)", text_of("justfile") + text_of(".github/CONTRIBUTING.md")))

    assert modules
    for module in modules:
        found = importlib.util.find_spec(module)
        assert found is not None, module
        assert not found.submodule_search_locations or importlib.util.find_spec(f"{module}.__main__"), module


def test_the_workflow_runs_the_two_commands_of_the_readme_and_ci_run() -> None:
    workflow = text_of(".github/workflows/ci.yml")

    for command in ("pip install uv", "uv run kallyai-mcp demo", "uv run pytest", ".ci/run"):
        assert f"- run: {command}\n" in workflow


def test_the_classifiers_name_the_pythons_that_the_workflow_tests() -> None:
    (matrix,) = re.findall(r"python: \[(.+)\]", text_of(".github/workflows/ci.yml"))
    classifiers = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text_of("pyproject.toml"))

    assert classifiers == re.findall(r"3\.\d+", matrix)


def test_actions_are_pinned_by_the_hash_of_a_commit_with_its_version_beside_it() -> None:
    for path in (GITHUB / "workflows").glob("*.yml"):
        for used in re.findall(r"uses: (.+)", path.read_text(encoding="utf-8")):
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", used), f"{path.name}: {used}"
