"""The image and compose.yaml: what they run, run here in a fresh environment with a real PostgreSQL."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from kallyai_mcp.cli.connection import check_shared_database
from kallyai_mcp.cli.serve_http import check_access
from kallyai_mcp.settings import Settings
from tests.docs.pages import fenced, text_of
from tests.postgres_server import PostgresServer, skip_without_server
from tests.processes import LIMIT, environment, free_port
from tests.programs import new_environment
from tests.transports.workers import COMMAND

INSTRUCTIONS = re.findall(r"^([A-Z]+) (.+)$", text_of("Dockerfile"), re.MULTILINE)


def of(name: str) -> list[str]:
    """What follows an instruction of the Dockerfile, each time that it is there."""
    return [value for found, value in INSTRUCTIONS if found == name]


def test_the_image_the_recipe_and_the_unit_of_systemd_run_the_same_command_with_settings_that_fit() -> None:
    (recipe,), (unit,) = (fenced("docs/hosting.md", language) for language in ("sh", "ini"))
    exports = dict(re.findall(r"^export (\w+)=(.*)$", recipe, re.MULTILINE))
    (program,) = re.findall(r'\$\(python3 -c "(.+)"\)', exports["KALLYAI_SECRET_KEYS"])
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=LIMIT)
    settings = Settings.from_env(exports | {"KALLYAI_SECRET_KEYS": made.stdout.strip()})
    check_access(settings, None)
    check_shared_database(settings)

    assert recipe.splitlines()[-1] == COMMAND
    assert f"\nExecStart=/opt/kallyai-mcp/bin/{COMMAND}\n" in unit
    assert json.loads(of("CMD")[0]) == shlex.split(COMMAND)
    assert of("USER") == ["10001"]


@pytest.mark.skipif(sys.platform == "win32" or shutil.which("uv") is None, reason="needs uv and a shell of POSIX")
def test_what_they_run_serves_with_two_workers_and_keeps_its_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    skip_without_server()
    keys, port = tmp_path / "keys", free_port()
    monkeypatch.delenv("SSL_CERT_DIR")  # tests trust no certificates of the system
    monkeypatch.setenv("UV_SYSTEM_CERTS", "1")
    (install,) = [run for run in of("RUN") if "pip install" in run]
    try:
        python = Path(new_environment(tmp_path / "app", install.split()[-1].strip('"')))
    except RuntimeError as error:
        if "Failed to fetch" in str(error):
            pytest.skip("needs a package index")
        raise
    keys.mkdir()
    (block,) = re.findall(r"^ +- \|\n((?:        .*\n|\n)+)", text_of("compose.yaml"), re.MULTILINE)
    make_keys = textwrap.dedent(block).replace('"/keys"', repr(str(keys))).replace("10001", "os.getuid()")
    for _ in range(2):  # it keeps the keys that there are
        subprocess.run([python, "-c", make_keys], check=True, timeout=LIMIT)
        made = (keys / "server.env").read_text()
    assert (keys / "postgres").read_text() in made
    with PostgresServer() as server:
        (keys / "server.env").chmod(0o600)
        (keys / "server.env").write_text(re.sub(r"postgresql://\S+", server.create_database(), made))
        entry = of("ENTRYPOINT")[0].replace("/keys/", f"{keys}/")
        words = [*json.loads(entry), *json.loads(of("CMD")[0])]
        words[words.index("uvicorn")] = str(python.parent / "uvicorn")
        words[words.index("--host") + 1], words[words.index("--port") + 1] = "127.0.0.1", str(port)
        (check,) = re.findall(r'CMD \[.*, "(.+)"\]', of("HEALTHCHECK")[0])
        with subprocess.Popen(
            words, env=environment(tmp_path, AUTH="caller"), stderr=subprocess.PIPE, text=True
        ) as run:
            try:
                until = time.monotonic() + 4 * LIMIT
                while subprocess.run([python, "-c", check.replace("8000", str(port))], capture_output=True).returncode:
                    assert time.monotonic() < until
                    assert run.poll() is None, run.stderr and run.stderr.read()
                with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/mcp", b"{}", timeout=LIMIT)
                refused.value.close()
            finally:
                run.terminate()
