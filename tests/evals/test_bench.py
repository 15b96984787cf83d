"""A task is done with a real client, server, and sandbox, whose clock is the task's, and graded by what they show."""

import shlex
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.evals.bench import Bench, instructions_of, open_bench
from tests.evals.conversation import Conversation
from tests.evals.graders import Run, grade
from tests.evals.script import Script
from tests.evals.task import Step, Task, load_tasks

TASKS = {task.id: task for task in load_tasks()}

NODE = shutil.which("node")
FIXED_ADDRESS_SERVER = Path(__file__).parent / "fixed_address_server.mjs"

needs_node = pytest.mark.skipif(
    NODE is None, reason="there is no node on this machine (Debian: apt-get install nodejs)"
)


async def play(task: Task, steps: Sequence[Step], home: Path) -> Run:
    """Take the turns of a script in place of a model."""
    script, results = Script(steps), list[str]()
    async with open_bench(task, home, "ours") as bench:
        conversation = Conversation(task, 0, bench, instructions_of("ours"))
        while not script.is_over:
            step = script.turn(results)
            if step.tool is not None:
                results.append((await bench.use(step.tool, step.args)).text)
            elif await conversation.reply_to(step.says or "") is None:
                break
        return await conversation.run()


async def test_the_gold_run_passes_and_the_calls_are_at_the_time_of_the_task(tmp_path: Path) -> None:
    task = TASKS["book-table"]

    run = await play(task, task.gold, tmp_path)

    assert grade(task.expect, run) == {}
    assert [f"{call.started_at:%Y-%m-%d %H:%M}" for call in run.placed] == ["2026-01-26 15:00"]


async def test_a_call_before_the_users_yes_is_found(tmp_path: Path) -> None:
    task = TASKS["night-call-agreed"]

    good = await play(task, task.gold, tmp_path / "good")
    bad = await play(task, task.steps_of(task.bad[0]), tmp_path / "bad")

    assert grade(task.expect, good) == {}
    assert [given.reply.says for given in good.replies] == ["Yes, call them now anyway."]
    assert set(grade(task.expect, bad)) == {"asked_first"}


async def test_a_client_gives_up_and_the_call_goes_on(tmp_path: Path) -> None:
    task = TASKS["time-out-booking"].model_copy(update={"client_seconds": 2})

    run = await play(task, [task.gold[0]], tmp_path)

    assert [use.text for use in run.used] == ["Timed out after 2 seconds."]
    assert [call.status for call in run.placed] == ["success"]


async def test_a_call_for_later_is_seen_with_its_time(tmp_path: Path) -> None:
    task = TASKS["later-tomorrow"]

    run = await play(task, task.gold, tmp_path)

    assert grade(task.expect, run) == {}
    assert run.placed == ()
    assert [call.due.isoformat() for call in run.scheduled] == ["2026-01-27T14:00:00+00:00"]


async def test_a_server_with_bare_descriptions_says_only_names_and_types(tmp_path: Path) -> None:
    async with open_bench(TASKS["book-table"], tmp_path, "bare") as bench:
        described = {tool.name: tool for tool in await bench.tools(bare=False)}
        bare = {tool.name: tool for tool in await bench.tools(bare=True)}

    assert bare.keys() == described.keys()
    make_call = bare["make_call"]
    assert make_call.description == "make_call"
    assert make_call.schema["properties"]["party_size"] == {"type": "integer", "minimum": 1, "maximum": 50}
    assert make_call.schema["properties"].keys() == described["make_call"].schema["properties"].keys()


@pytest.fixture
async def fixed_address(tmp_path: Path) -> AsyncIterator[Bench]:
    """A server that Node runs, and that has the address of the live KallyAI in its source."""
    async with open_bench(TASKS["book-table"], tmp_path, shlex.join([str(NODE), str(FIXED_ADDRESS_SERVER)])) as bench:
        yield bench


@needs_node
async def test_a_server_with_a_fixed_address_is_measured_on_the_sandbox(fixed_address: Bench) -> None:
    call = {"submission": TASKS["book-table"].gold[0].args, "timezone": "America/New_York"}

    assert '"status":"success"' in (await fixed_address.use("fetch", call)).text
    assert '"status":"success"' in (await fixed_address.use("https", call)).text
    assert '"has_active_subscription":true' in (await fixed_address.use("https_import", {})).text
    assert '"total":' in (await fixed_address.use("https_agent", {})).text
    assert [f"{call.number} at {call.started_at:%Y-%m-%d %H:%M}" for call in fixed_address.sandbox.calls] == [
        "+12025550142 at 2026-01-26 15:00",
        "+12025550142 at 2026-01-26 15:00",
    ]


@needs_node
async def test_a_server_that_node_runs_reaches_nothing_but_the_sandbox(fixed_address: Bench) -> None:
    answers = [
        (await fixed_address.use(tool, {})).text
        for tool in ("other_https", "other_fetch", "other_socket", "other_http")
    ]

    refused = "refused a connection to {}: only the sandbox may be used"
    assert answers == [refused.format("example.com:443")] * 3 + [refused.format("127.0.0.1:9")]
