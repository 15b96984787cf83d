"""Builds the packages that are published, and tries each as its users get it.

    uv run python -m tests.bundle.check

The bundle is packed, unpacked into an empty folder, and run by the command of its manifest; the sdist and the wheel are
built, and the wheel is installed into an empty environment, first alone, then with the sandbox, then with pytest; the
files for the MCP registry and for Claude Code are linted. Needs npm, and a package index for the dependencies.

Exits with 1 at the first problem, which it prints.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import anyio
from anyio import to_thread
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from kallyai_mcp import __version__
from tests import programs
from tests.agent import BISTRO, Agent
from tests.bundle.mcpb import clean_copy, launch, mcpb
from tests.cards.npm import missing

LINTER = "skillsaw==0.22.0"
"""Knows the registry's schemas and Claude Code's rules for plug-ins."""

SECONDS = 300
"""How long a step may take; the first one installs the dependencies."""

INSTALL_HINT = 'pip install "kallyai-mcp[sandbox]"'


class CheckError(Exception):
    """A problem was found; the message is one sentence."""


def main() -> int:
    """Run and print every step; returns the exit code."""
    if reason := missing():
        print(f"This can't be checked here: {reason}", file=sys.stderr)
        return 1
    failures: list[str] = []
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            anyio.run(check, Path(folder))
    except* (CheckError, RuntimeError) as group:
        failures = [f"FAILED: {error}" for error in errors_in(group)]
        print("\n".join(failures), file=sys.stderr)
    return 1 if failures else 0


async def check(folder: Path) -> None:
    """Run all the steps, those of the bundle beside the others; their files are written to `folder`."""
    began = time.monotonic()

    def done(what: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {what}", flush=True)

    async def check_bundle() -> None:
        await bundle(clean_copy(folder / "bundle" / "copy"), folder / "bundle")
        done("the bundle, unpacked, lists its tools and prompts, and places a call on the sandbox")

    async def check_wheel() -> None:
        copy = clean_copy(folder / "copy")
        wheel = await to_thread.run_sync(built, copy, folder)
        done("sdist and wheel have every file, and the sdist builds the same wheel")
        await bare(wheel, folder)
        done("the wheel alone serves, and says what to install for the sandbox")
        await to_thread.run_sync(with_sandbox, wheel, folder)
        done("the wheel with the sandbox shows its demo")
        await to_thread.run_sync(with_pytest, copy, folder)
        done("a project with the wheel and pytest tests its agent")
        await to_thread.run_sync(linted, copy, folder)
        done("the files for the registry and for Claude Code are valid")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(check_bundle)
        tasks.start_soon(check_wheel)


async def bundle(copy: Path, folder: Path) -> None:
    """Pack `copy`, unpack it into another folder, and run it as a desktop app does, with two configurations."""
    unpacked = folder / "unpacked"
    await to_thread.run_sync(mcpb, "pack", copy, folder / "kallyai.mcpb")
    await to_thread.run_sync(mcpb, "unpack", folder / "kallyai.mcpb", unpacked)
    manifest = json.loads((unpacked / "manifest.json").read_text(encoding="utf-8"))
    tools = [tool["name"] for tool in manifest["tools"]]
    prompts = [prompt["name"] for prompt in manifest["prompts"]]

    default = launch(unpacked, {})
    async with served(default.command, folder, default.env) as agent:
        require(await tools_of(agent) == tools, "the bundle's server has other tools than its manifest")
        listed = [prompt.name for prompt in (await agent.client.list_prompts()).prompts]
        require(listed == prompts, "the bundle's server has other prompts than its manifest")

    on_sandbox = launch(unpacked, {"sandbox": True})
    async with served(on_sandbox.command, folder, on_sandbox.env) as agent:
        soon = (date.today() + timedelta(days=3)).isoformat()  # noqa: DTZ011 - the sandbox keeps real time
        answer = await agent.use("make_call", BISTRO, appointment_date=soon)
        require(answer.text.startswith("Booked: "), f"the bundle's call should have succeeded: {answer.text}")

    # MANIFEST.md, "UV Runtime": a host may start the entry point itself, without the command.
    by_entry_point = ["uv", "run", "--directory", str(unpacked), "--no-dev", manifest["server"]["entry_point"]]
    async with served(by_entry_point, folder, {}) as agent:
        require(await tools_of(agent) == tools, "the entry point serves other tools than the manifest says")


def built(copy: Path, folder: Path) -> Path:
    """Build the sdist, and from it the wheel, which must equal the one built from `copy`; returns the wheel."""
    run("uv", "build", "--quiet", "--out-dir", folder / "dist", copy)
    run("uv", "build", "--quiet", "--wheel", "--out-dir", folder / "direct", copy)
    wheel = next((folder / "dist").glob("*.whl"))
    names = contents(wheel)
    require(names == contents(folder / "direct" / wheel.name), "the sdist builds another wheel than the work tree")
    files = {path.relative_to(copy).as_posix() for path in (copy / "kallyai_mcp").rglob("*") if path.is_file()}
    require(not files - names, f"the wheel lacks {sorted(files - names)}")

    # modelcontextprotocol.io/registry/package-types: the registry looks for this in the description on PyPI.
    with zipfile.ZipFile(wheel) as archive:
        described = archive.read(f"kallyai_mcp-{__version__}.dist-info/METADATA").decode()
    name = json.loads((copy / "kallyai_mcp" / "registry" / "server.json").read_text(encoding="utf-8"))["name"]
    require(f"mcp-name: {name}" in described, f"README.md should say: <!-- mcp-name: {name} -->")
    return wheel


async def bare(wheel: Path, folder: Path) -> None:
    """Install the wheel without extras: it serves, and commands that need the sandbox say so in one line."""
    await to_thread.run_sync(run, "uv", "venv", "--quiet", folder / "venv")
    await to_thread.run_sync(run, "uv", "pip", "install", "--quiet", "--python", folder / "venv", wheel)
    command = installed_command(folder)
    version = (await to_thread.run_sync(run, command, "--version")).stdout.strip()
    require(version == f"kallyai-mcp, version {__version__}", f"the wheel's version is {version!r}")
    async with served([command], folder, {}) as agent:
        require(len(await tools_of(agent)) == 10, "the wheel should serve ten tools")
    for arguments in (["demo"], ["sandbox"], ["serve", "--sandbox"]):
        done = await to_thread.run_sync(partial(run, command, *arguments, code=1))
        lines = done.stderr.strip().splitlines()
        require(len(lines) == 1 and INSTALL_HINT in lines[0], f"{arguments} should say in a line: {INSTALL_HINT}")


def with_sandbox(wheel: Path, folder: Path) -> None:
    """Install the sandbox as well, and run the demo."""
    extra = f"kallyai-mcp[sandbox] @ {wheel.as_uri()}"
    run("uv", "pip", "install", "--quiet", "--python", folder / "venv", extra)
    shown = run(installed_command(folder), "demo", "--speed", "1000").stdout
    require("Each answer was what it should be." in shown, "the demo should have ended well")


def with_pytest(copy: Path, folder: Path) -> None:
    """Install pytest as well, and run the tests of a project of its own."""
    run("uv", "pip", "install", "--quiet", "--python", folder / "venv", "pytest")
    project = folder / "project"
    shutil.copytree(copy / "tests" / "bundle" / "project", project)
    python = Path(installed_command(folder)).with_name("python")
    path = os.pathsep.join([str(python.parent), os.environ["PATH"]])
    shown = run(python, "-m", "pytest", "-q", "--rootdir", project, project / "agent_checks.py", PATH=path).stdout
    require("2 passed" in shown, f"the project's tests should have passed: {shown}")


def linted(copy: Path, folder: Path) -> None:
    """Lint the file for the MCP registry and those for Claude Code, each in its own folder."""
    registry = folder / "registry"
    registry.mkdir()
    (copy / "kallyai_mcp" / "registry" / "server.json").rename(registry / "server.json")
    plugin = folder / "plugin"
    plugin.mkdir()
    for name in (".claude-plugin", "README.md", "kallyai_mcp/skills"):
        (plugin / name).parent.mkdir(exist_ok=True)
        (copy / name).rename(plugin / name)
    for target in (registry, plugin):
        run("uvx", "--quiet", LINTER, "lint", "--strict", "--no-custom-rules", "--no-plugins", target)


@asynccontextmanager
async def served(command: list[str], folder: Path, env: Mapping[str, str]) -> AsyncIterator[Agent]:
    """An agent whose client has started `command`, with `KALLYAI_HOME` in `folder`."""
    home = {"KALLYAI_HOME": str(folder / "home")}
    parameters = StdioServerParameters(command=command[0], args=command[1:], env={**environment(), **env, **home})
    with anyio.fail_after(SECONDS):
        async with Client(parameters) as client:
            yield Agent(client)


async def tools_of(agent: Agent) -> list[str]:
    """The names of the server's tools."""
    return [tool.name for tool in (await agent.client.list_tools()).tools]


def run(
    program: str | Path, *arguments: str | Path, code: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command, with these environment variables, whose exit code must be `code`.

    Raises:
        CheckError: It was another; the message has the command's output.
    """
    done = programs.run([program, *arguments], variables=environment() | variables, seconds=SECONDS)
    line = " ".join(map(str, (program, *arguments)))
    require(done.returncode == code, f"{line} ended with {done.returncode}, not {code}:\n{done.stdout}{done.stderr}")
    return done


def environment() -> dict[str, str]:
    """This process's environment, without the project's virtual environment and the user's settings."""
    return programs.own_environment() | {"PYTHONUTF8": "1"}


def installed_command(folder: Path) -> str:
    """The command that the wheel has installed."""
    return str(folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "kallyai-mcp")


def contents(wheel: Path) -> set[str]:
    """The names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def errors_in(error: BaseException) -> Iterator[BaseException]:
    """The errors in a group and in the groups within it."""
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from errors_in(member)
    else:
        yield error


def require(condition: bool, message: str) -> None:
    """Raises `CheckError` with this message unless the condition holds."""
    if not condition:
        raise CheckError(message)


if __name__ == "__main__":
    raise SystemExit(main())
