"""Builds the packages that are published, and tries each as its users get it; and runs what the
pages say.

    uv run python -m tests.bundle.check

Needs npm, PostgreSQL, and a package index for the dependencies. Exits with 1 at the first problem,
which it prints.
"""

import json
import os
import re
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from pathlib import Path

import anyio
import httpx2
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from ruamel.yaml import YAML

from kallyai_mcp import __version__
from kallyai_mcp.testing.sandbox import running_sandbox
from kallyai_mcp.tools.catalog import tools
from tests import programs
from tests.agent import BISTRO, Agent
from tests.bench.servers import serving
from tests.docs.pages import DOCS, IN_CHECK, PAGES, commands, fenced, run_by, text_of
from tests.limits import BUNDLE_BYTES
from tests.postgres_server import PostgresServer
from tests.processes import free_port
from tests.programs import ROOT, run_well
from tests.reference.cases import STATED
from tests.sandbox.auth.browser_client import sign_in
from tests.update.directories import AGENT_PLUGIN_SERVERS, CURSOR, DOCKER, STDIO

MCPB = ("npx", "--yes", "@anthropic-ai/mcpb@2.1.2")
"""Packs bundles."""

LINTER = "skillsaw==0.22.0"
"""Knows the registry's schemas and Claude Code's rules for plug-ins."""

PRETTIER = "prettier@3"
"""Docker's catalog takes a file only if this changes nothing."""

SECONDS = 300
"""How long a server may take; at first, uv installs the dependencies."""

UNRELATED = (
    ".venv/bin/python",
    ".env",
    ".kallyai_token.json",
    "uv.lock",
    "dist/a.whl",
    "kallyai_mcp/__pycache__/a",
)
"""Files that a developer may have in the folder."""

SHELLS = {
    "=bash_source": ("bash", "-euc", "{}; complete -p kallyai-mcp"),
    "=zsh_source": (
        "zsh",
        "-euc",
        'autoload -U compinit; compinit -D; {}; [ "$_comps[kallyai-mcp]" ]',
    ),
    "=fish_source": (
        "fish",
        "--command",
        '{}; complete -C "kallyai-mcp transcr" | grep "^transcript"',
    ),
}
"""Where a line that completes commands is run, and what shows that it does, by a part of the
line.
"""

TOOLS = [tool.name for tool in tools()]
ENVIRONMENT = programs.own_environment() | {"PYTHONUTF8": "1", "PIP_NO_COMPILE": "1"}
"""Without bytecode, which takes pip half of its time."""


def the_bundle_has_the_program_and_nothing_else(folder: Path) -> None:
    """Pack and unpack it with unrelated files beside it."""
    copy = clean_copy(folder / "copy")
    package = files_in(copy, "kallyai_mcp")
    for name in UNRELATED:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).touch()

    assert "Manifest schema validation passes!" in run(*MCPB, "validate", copy / "manifest.json")
    run(*MCPB, "pack", copy, folder / "kallyai.mcpb")
    run(*MCPB, "unpack", folder / "kallyai.mcpb", folder / "bundle")

    assert files_in(folder / "bundle", "") == package | {
        "manifest.json",
        "pyproject.toml",
        "README.md",
        "LICENSE",
    }
    BUNDLE_BYTES.check((folder / "kallyai.mcpb").stat().st_size, "the bundle")


def the_bundle_places_a_call_on_the_sandbox(folder: Path) -> None:
    """As a desktop app starts it when one option is set: the others stay in the environment as
    `${user_config.…}`.

    A host may start the entry point itself instead (MANIFEST.md, "UV Runtime").
    """
    bundle = folder / "bundle"
    server = json.loads((bundle / "manifest.json").read_text("utf-8"))["server"]
    started = server["mcp_config"]
    words = [
        word.replace("${__dirname}", str(bundle)) for word in (started["command"], *started["args"])
    ]
    serve(
        words,
        folder,
        {name: it.replace("${user_config.sandbox}", "true") for name, it in started["env"].items()},
    )
    serve(["uv", "run", "--directory", str(bundle), "--no-dev", server["entry_point"]], folder, {})


def the_sdist_builds_the_same_wheel_with_every_file(folder: Path) -> None:
    """`wheel` is built from the sdist, `direct` from the work tree."""
    copy = clean_copy(folder / "sources")
    run("uv", "build", "--quiet", "--out-dir", folder / "wheel", copy)
    run("uv", "build", "--quiet", "--wheel", "--out-dir", folder / "direct", copy)
    with (
        zipfile.ZipFile(wheel_in(folder)) as built,
        zipfile.ZipFile(folder / "direct" / wheel_in(folder).name) as direct,
    ):
        assert set(built.namelist()) == set(direct.namelist()) >= files_in(copy, "kallyai_mcp")
        described = built.read(f"kallyai_mcp-{__version__}.dist-info/METADATA").decode()

    # modelcontextprotocol.io/registry/package-types: the registry looks for this in the description
    # on PyPI.
    name = json.loads(
        (copy / "kallyai_mcp" / "registry" / "server.json").read_text(encoding="utf-8")
    )["name"]
    assert f"mcp-name: {name}" in described, f"README.md should say: <!-- mcp-name: {name} -->"


def the_wheel_alone_serves_and_says_what_the_sandbox_needs(folder: Path) -> None:
    """Without extras it has one HTTP client, and commands that need the sandbox say so in one
    line.
    """
    run("uv", "venv", "--quiet", folder / "venv")
    run("uv", "pip", "install", "--quiet", "--python", folder / "venv", wheel_in(folder))
    names = {
        line.partition("==")[0]
        for line in run("uv", "pip", "freeze", "--python", folder / "venv").splitlines()
    }
    assert "httpx2" in names
    assert names.isdisjoint({"aiohttp", "httpx", "requests", "urllib3"})
    command = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "kallyai-mcp"
    assert run(command, "--version").strip() == f"kallyai-mcp, version {__version__}"
    serve([str(command)], folder, {})
    for arguments in (["demo"], ["sandbox"], ["serve", "--sandbox"]):
        done = programs.run([command, *arguments], variables=ENVIRONMENT)
        (line,) = done.stderr.strip().splitlines()
        assert done.returncode == 1
        assert 'pip install "kallyai-mcp[sandbox]"' in line


def the_recipe_serves_with_two_workers_and_exports_what_they_count(folder: Path) -> None:
    """Run that of docs/hosting.md with a real PostgreSQL.

    OpenTelemetry's launcher starts its last line.
    """
    port = str(free_port())
    (install,) = (line for line in commands(DOCS / "operating.md") if "opentelemetry" in line)
    *lines, last = fenced("docs/hosting.md", "sh")[0].splitlines()
    last = last.replace("8000", port)
    script = ["sh", "-euc", "\n".join([*lines, install, f"exec opentelemetry-instrument {last}"])]
    missing = {
        '"kallyai.calls.ended"',
        '"kallyai.calls.refused"',
        '"http.client.request.duration"',
        '"kallyai.ledger.transaction.duration"',
        '"POST /v1/calls"',
        '"tools/call make_call"',
    }
    with PostgresServer() as server, running_sandbox(folder / "sandbox") as sandbox:
        more = {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": "kallyai",
            "KALLYAI_API_URL": sandbox.url,
        }
        more |= {f"OTEL_{each}_EXPORTER": "console" for each in ("TRACES", "METRICS")} | {
            "OTEL_LOGS_EXPORTER": "none"
        }
        more |= {
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
            "KALLYAI_CONFIRM": "never",
            **at_home(folder),
        }
        with subprocess.Popen(
            script, cwd=ROOT, env=more, stdout=subprocess.PIPE, text=True
        ) as served:
            try:
                for number in ("+12025550142", "+12025550121"):  # the second one is refused
                    ask_for_a_call(f"http://127.0.0.1:{port}/mcp", number, sandbox.access_token)
                for line in islice(served.stdout or (), 20_000):  # half a minute
                    missing = {name for name in missing if name not in line}
                    if not missing:
                        break
            finally:
                served.terminate()
    assert not missing, missing


def the_image_serves_with_two_workers_as_compose_yaml_says(folder: Path) -> None:
    """Do what each service says with a real PostgreSQL, and what docs/hosting.md says to run in the
    server's.
    """
    root, port = folder / "container", str(free_port())
    start, said = built_image(root, clean_copy(folder / "context"))
    services = YAML(typ="safe").load(in_folder(root, "compose.yaml"))["services"]
    made, settings = root / "keys" / "server.env", services["server"]["environment"]
    for _ in range(2):  # the second start keeps the keys
        run(*start, *services["keys"]["command"])
        url = f"postgresql://kallyai:{(root / 'keys' / 'postgres').read_text()}@database/kallyai\n"
        assert url in made.read_text()
    place = {
        "POSTGRES_USER": "kallyai",
        "POSTGRES_DB": "kallyai",
        "POSTGRES_PASSWORD_FILE": f"{root}/keys/postgres",
    }
    assert services["database"]["environment"] == place
    login, show = (
        [*start, *shlex.split(line.removeprefix("docker compose run --rm server "))]
        for line in commands(DOCS / "hosting.md")
        if line.startswith("docker compose run ")
    )
    command = json.loads(said["CMD"].replace("0.0.0.0", "127.0.0.1").replace("8000", port))  # noqa: S104 - the image's
    check = json.loads(said["HEALTHCHECK"].partition(" CMD ")[2].replace("8000", port))
    with PostgresServer() as server, running_sandbox(folder / "sandbox of the image") as sandbox:
        ready = [
            *services["database"]["healthcheck"]["test"][1:],
            "-h",
            "127.0.0.1",
            "-p",
            server.port,
        ]
        run_well(ready, variables=ENVIRONMENT)
        made.chmod(0o600)
        made.write_text(re.sub(r"postgresql://\S+", server.create_database(), made.read_text()))
        for auth in ("secret", ""):
            given = {
                "KALLYAI_AUTH": auth,
                "KALLYAI_API_URL": sandbox.url,
                "KALLYAI_CONFIRM": "never",
            }
            defaults = {
                name: re.sub(r"\$\{\w+:-(\w*)\}", r"\1", value) for name, value in settings.items()
            }
            variables, bearer = (
                ENVIRONMENT | defaults | {k: v for k, v in given.items() if v},
                sandbox.access_token,
            )
            if auth == "secret":
                with subprocess.Popen(
                    login, env=variables, stdout=subprocess.PIPE, text=True
                ) as signing_in:
                    sign_in(
                        next(
                            line for line in signing_in.stdout or () if "/v1/auth/cli?" in line
                        ).strip()
                    )
                    signing_in.communicate()
                assert signing_in.returncode == 0
                bearer = run_well(show, variables=variables).stdout.strip()
            with serving([*start, *command], int(port), variables):
                ask_for_a_call(f"http://127.0.0.1:{port}/mcp", "+12025550142", bearer)
                run(*start, *check)
    serve([*start, *STDIO], folder, {})  # as Docker's catalog says


def built_image(root: Path, context: Path) -> tuple[list[str], dict[str, str]]:
    """Do what each instruction of Dockerfile says, as this user.

    Returns the words before each command in a container, and what the last instruction of each name
    says.
    """
    for name in ("src", "data", "keys"):
        (root / name).mkdir(parents=True)
    instructions = re.findall(r"^([A-Z]+) (.+)$", in_folder(root, "Dockerfile"), re.MULTILINE)
    said = dict(instructions)
    others = {"FROM", "WORKDIR", "USER", "EXPOSE", "ENV", "ENTRYPOINT", "CMD", "HEALTHCHECK"}
    for instruction, words in instructions:
        sources, _, target = words.rpartition(" ")
        if instruction == "RUN" and not words.startswith("useradd "):
            run_well(["sh", "-euc", words], folder=root / "src", variables=ENVIRONMENT)
        elif instruction == "COPY" and not words.startswith("--from=build "):
            run_well(["sh", "-euc", f"cp -r {sources} {root}/src/{target}"], folder=context)
        else:
            assert instruction in {*others, "RUN", "COPY"}, instruction
    begin = f'cd {said["WORKDIR"]}; export {said["ENV"]}; exec "$@"'
    return ["sh", "-euc", begin, "sh", *json.loads(said["ENTRYPOINT"])], said


def in_folder(root: Path, name: str) -> str:
    """A file of this project, with the container's folders under `root`."""
    return re.sub(r"(?<![\w.])/(app|src|data|keys)\b", rf"{root}/\1", text_of(name))


def the_pages_have_no_command_that_fails(folder: Path) -> None:
    """Run, page by page, what they install and serve.

    Who tests an agent is in the folder that contains the clone.
    """
    repository, clone = (
        clean_copy(folder / "published" / "kallyai-mcp"),
        folder / "mine" / "kallyai-mcp",
    )
    publish = (
        "git init --quiet; git add .; git -c user.name=a -c user.email=a commit --quiet --message a"
    )
    run_well(["sh", "-euc", publish], folder=repository, variables=at_home(folder))
    run("uv", "venv", "--quiet", "--seed", "--python", sys.executable, clone.parent)
    run_well(["git", "clone", repository], folder=clone.parent, variables=at_home(folder))
    reference = "\n".join(f"# {section}\n{words}" for section, words in sorted(STATED))
    (clone / "FILE").write_text(reference, encoding="utf-8")
    (clone.parent / "test_agent.py").write_text(
        fenced("docs/testing-agents.md", "python")[0], encoding="utf-8"
    )
    (clone.parent / "lines.toml").write_text(
        fenced("docs/testing-agents.md", "toml")[0], encoding="utf-8"
    )
    hosted = at_home(folder)
    for names, values in re.findall(
        r"^\| (`KALLYAI_.+) \| (.+) \|$", text_of("docs/hosting.md"), re.MULTILINE
    ):
        hosted |= zip(re.findall("`(.+?)`", names), re.findall("`(.+?)`", values), strict=True)
    hosted["KALLYAI_SECRET_KEYS"] = secrets.token_hex(32)  # what the command in the table prints
    # It says how to install the program.
    for page in sorted(PAGES, key=lambda page: page.name != "README.md"):
        for line in commands(page):
            if run_by(line) != IN_CHECK or line.startswith(("docker ", "git ")):
                continue
            print(f"  {line}", flush=True)
            where = clone.parent if page.name in ("frameworks.md", "testing-agents.md") else clone
            variables = hosted if "--auth oauth" in line else at_home(folder)
            if where == clone.parent:  # what pip has installed there
                variables = variables | {"PATH": f"{where}/bin{os.pathsep}{variables['PATH']}"}
            port, here = free_port(), line.replace("/opt/", f"{folder}/opt/")
            if re.match("kallyai-mcp (sandbox|serve --transport)", line):
                with serving(["bash", "-c", f"exec {here} --port {port}"], port, variables, where):
                    pass
            else:
                (shell,) = [words for name, words in SHELLS.items() if name in here] or [
                    ("bash", "-euc", "{}")
                ]
                run_well([word.format(here) for word in shell], folder=where, variables=variables)
    changed = run("git", "-C", clone, "diff", "--name-only").split()
    assert all(
        name == ".ci/pins.txt" or name.startswith(".github/pictures/") for name in changed
    ), changed


LINTED = {
    "registry": ("kallyai_mcp/registry/server.json",),
    "claude code": (".claude-plugin", "README.md", "kallyai_mcp/skills"),
    "cursor": (".cursor-plugin", "README.md", "kallyai_mcp/skills", "kallyai_mcp/bundle"),
    "agent plugins": ("plugin.json", "mcp.json", "README.md"),
}
"""The files of each place where this server can be found."""


def the_files_for_registries_and_plug_ins_are_valid(folder: Path) -> None:
    """Lint each in a folder of its own."""
    copy = clean_copy(folder / "linted")
    for place, names in LINTED.items():
        target = folder / "places" / place
        for name in names:
            # The linter looks for the registry's entry in the folder itself.
            to = target / (Path(name).name if place == "registry" else name)
            to.parent.mkdir(parents=True, exist_ok=True)
            copied = shutil.copytree if (copy / name).is_dir() else shutil.copy
            copied(copy / name, to)
        options = ("--strict", "--no-custom-rules", "--no-plugins")
        run("uvx", "--quiet", LINTER, "lint", *options, target)
    run("npx", "--yes", PRETTIER, "--check", copy / DOCKER / "server.yaml")


def the_plug_ins_start_the_server_from_their_folder(folder: Path) -> None:
    """As Cursor does, which names the folder, and as other hosts do, which begin in it."""
    copy = clean_copy(folder / "plug in")
    cursor = json.loads((copy / CURSOR).read_text("utf-8"))["mcpServers"]["kallyai"]
    words = [word.replace("${CURSOR_PLUGIN_ROOT}", str(copy)) for word in cursor["args"]]
    serve([cursor["command"], *words], folder, {})
    servers = json.loads((copy / AGENT_PLUGIN_SERVERS).read_text("utf-8"))["mcpServers"]
    portable = servers["kallyai"]
    serve([portable["command"], *portable["args"]], folder, {}, copy / portable["cwd"])


def at_home(folder: Path) -> dict[str, str]:
    """The environment of a user with a new home and an own Python, and the caches of packages of
    this one.
    """
    path = [
        str(folder / "user" / ".local" / "bin"),
        str(folder / "mine" / "bin"),
        os.environ["PATH"],
    ]
    own = {
        "HOME": str(folder / "user"),
        "PATH": os.pathsep.join(path),
        "XDG_CACHE_HOME": str(Path.home() / ".cache"),
    }
    return ENVIRONMENT | own


def ask_for_a_call(url: str, number: str, token: str) -> None:
    """Ask as a client does, once the server answers."""
    arguments = {
        "task_category": "general",
        "task_description": "Ask when they close",
        "respondent_phone": number,
    }
    params = {"name": "make_call", "arguments": arguments}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    with httpx2.Client(
        transport=httpx2.HTTPTransport(retries=10), headers=headers, timeout=SECONDS
    ) as client:
        client.post(
            url, json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
        ).raise_for_status()


def run(command: str | Path, *arguments: str | Path) -> str:
    """Run a command that must succeed; returns its output."""
    return run_well([command, *arguments], variables=ENVIRONMENT).stdout


def clean_copy(folder: Path) -> Path:
    """Copy the project's own files into `folder`, without files that a build, a test, or an editor
    has left.
    """
    for name in run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    ):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    return folder


def files_in(folder: Path, part: str) -> set[str]:
    """The files in a part of a folder, relative to the folder."""
    return {
        path.relative_to(folder).as_posix() for path in (folder / part).rglob("*") if path.is_file()
    }


def wheel_in(folder: Path) -> Path:
    """The wheel that was built from the sdist."""
    return next((folder / "wheel").glob("*.whl"))


def serve(
    command: Sequence[str], folder: Path, env: Mapping[str, str], where: Path | None = None
) -> None:
    """Start `command` as a client does, with `KALLYAI_HOME` in `folder`, and in the folder `where`;
    on the sandbox, place a call.
    """
    variables = {**ENVIRONMENT, **env, "KALLYAI_HOME": str(folder / "home")}
    soon = (date.today() + timedelta(days=3)).isoformat()  # noqa: DTZ011 - the sandbox keeps real time

    async def use() -> None:
        parameters = StdioServerParameters(
            command=command[0], args=[*command[1:]], env=variables, cwd=where
        )
        with anyio.fail_after(SECONDS):
            async with Client(parameters) as client:
                assert [tool.name for tool in (await client.list_tools()).tools] == TOOLS
                if "KALLYAI_SANDBOX" in env:
                    answer = await Agent(client).use("make_call", BISTRO, appointment_date=soon)
                    assert answer.text.startswith("Booked: "), answer.text

    anyio.run(use)


def main() -> None:
    """Check the bundle, then the wheel, and print each step."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        for step in (
            the_bundle_has_the_program_and_nothing_else,
            the_bundle_places_a_call_on_the_sandbox,
            the_sdist_builds_the_same_wheel_with_every_file,
            the_wheel_alone_serves_and_says_what_the_sandbox_needs,
            the_recipe_serves_with_two_workers_and_exports_what_they_count,
            the_image_serves_with_two_workers_as_compose_yaml_says,
            the_pages_have_no_command_that_fails,
            the_files_for_registries_and_plug_ins_are_valid,
            the_plug_ins_start_the_server_from_their_folder,
        ):
            print(step.__name__.replace("_", " "), flush=True)
            step(Path(folder))


if __name__ == "__main__":
    main()
