"""The environment with Inspect AI, made by uv: it and its dependencies are no part of the project's own."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

PINNED = ("inspect-ai==0.3.285", "mcp==2.3.0")

LIMIT = 600
"""Seconds until making the environment counts as hung."""

_PACKAGES = {
    "anthropic": "anthropic",
    "google": "google-genai",
    "groq": "groq",
    "mistral": "mistralai",
    "ollama": "openai",
    "openai": "openai",
    "openai-api": "openai",
    "openrouter": "openai",
    "vllm": "openai",
}
"""The package of a provider."""


class EvalsEnvironmentError(Exception):
    """The environment can't be made; the message says why."""


def make_environment(folder: Path, packages: Sequence[str]) -> str:
    """Make the environment.

    Args:
        folder: Where; it does not exist yet.
        packages: More packages.

    Returns:
        Its Python.

    Raises:
        EvalsEnvironmentError: It can't be made.
    """
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    _run("venv", "--python", sys.executable, str(folder))
    project = ["-r", str(ROOT / "pyproject.toml"), "--extra", "sandbox"]
    _run("pip", "install", "--python", python, *project, *PINNED, *packages)
    return python


def packages_of(*models: str | None) -> list[str]:
    """The packages of the providers of these models, as far as they are known."""
    providers = {model.partition("/")[0] for model in models if model}
    return sorted({_PACKAGES[provider] for provider in providers if provider in _PACKAGES})


def _run(*arguments: str) -> None:
    try:
        done = subprocess.run(
            ["uv", "--quiet", *arguments],  # noqa: S607 - whichever uv the user has
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise EvalsEnvironmentError(f"uv {arguments[0]} did not end within {LIMIT} s") from None
    if done.returncode:
        raise EvalsEnvironmentError(done.stderr.strip())
