"""The environment with Inspect AI, made by uv: it and its dependencies are no part of the project's own."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.programs import ROOT, run_well

PINNED = ("inspect-ai==0.3.285", "mcp==2.3.0")

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


def make_environment(folder: Path, packages: Sequence[str]) -> str:
    """Make the environment.

    Args:
        folder: Where; it does not exist yet.
        packages: More packages.

    Returns:
        Its Python.

    Raises:
        RuntimeError: It can't be made; the message says why.
    """
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    run_well(["uv", "venv", "--quiet", "--python", sys.executable, folder])
    project = ["-r", str(ROOT / "pyproject.toml"), "--extra", "sandbox"]
    run_well(["uv", "pip", "install", "--quiet", "--python", python, *project, *PINNED, *packages])
    return python


def packages_of(*models: str | None) -> list[str]:
    """The packages of the providers of these models, as far as they are known."""
    providers = {model.partition("/")[0] for model in models if model}
    return sorted({_PACKAGES[provider] for provider in providers if provider in _PACKAGES})
