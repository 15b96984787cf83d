"""`demo --play`: a call comes in on the page that it opens, and the user is the restaurant."""

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType as Map
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.processes import LIMIT, run, started

pytestmark = pytest.mark.programs

CALLS = "/_sandbox/play/calls"

AGREES = (
    Map({"does": "agrees", "says": "Friday at seven it is."}),
    Map({"does": "hangs_up"}),
)


def play(link: str, turns: Sequence[Map[str, str]]) -> None:
    """Pick up the call that comes in, and take turns, as the page does."""
    address = urlsplit(link)
    with httpx2.Client(base_url=f"{address.scheme}://{address.netloc}", timeout=LIMIT) as page:
        while True:
            calls = page.get(CALLS).json()["calls"]
            if calls:
                break
        path = f"{CALLS}/{calls[0]['call_id']}"
        page.post(f"{path}/pick-up").raise_for_status()
        for turn in turns:
            page.post(f"{path}/turns", json=dict(turn)).raise_for_status()


def browser(tmp_path: Path, turns: str) -> str:
    """A browser that plays these turns, beside the command, for the variable BROWSER."""
    script = tmp_path / "browser.py"
    script.write_text(
        "import sys\nfrom tests.cli.test_played_demo import AGREES, play\n"
        f"play(sys.argv[1], {turns})\n"
    )
    return f"{sys.executable} {script} %s &"


@pytest.fixture(autouse=True)
def python_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ignores BROWSER")
def test_the_demo_opens_a_page_to_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", browser(tmp_path, "AGREES"))
    done = run(tmp_path, "demo", "--play")

    assert done.returncode == 0, done.stderr
    assert "Your browser opens the phone." in done.stdout
    assert "✓ Booked   SANDBOX    Fri " in done.stdout
    assert "They     Friday at seven it is.\n" in done.stdout
    assert "\nNext, with a sandbox" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ignores BROWSER")
def test_the_restaurant_may_hang_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", browser(tmp_path, "[{'does': 'hangs_up'}]"))
    done = run(tmp_path, "demo", "--play")

    assert done.returncode == 0, done.stderr
    assert "✗ Failed   SANDBOX " in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows can't send signals to a process")
def test_ctrl_c_ends_a_demo_that_nobody_opens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BROWSER", "/gone")
    with started(tmp_path, "demo", "--play") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("http"):
                break
        process.send_signal(signal.SIGINT)
        code = process.wait(LIMIT)

    assert code == 130
