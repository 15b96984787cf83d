"""A small share of `python -m tests.fuzz`, the same examples each time, and examples that failed
once.
"""

from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tests.agent import BISTRO, open_agent, settings_in
from tests.api.raw_server import TOKEN, reference
from tests.fake_service import fake_service
from tests.fuzz.tool_checks import (
    NOW,
    assert_all_readable,
    assert_clear,
    assert_readable,
    check_tool_use,
    without_crash,
)
from tests.sandbox.manual_clock import ManualClock


def test_no_example_violates_the_property() -> None:
    # Late: each worker imports this module, and hypothesis is large.
    from tests.fuzz.arguments import check_examples

    assert check_examples(10, None).total() > 5


def test_arguments_that_failed_once_are_clear_errors() -> None:
    assert check_tool_use("make_call", BISTRO | {"user_name": "\ud83d"}, "auto") == "refused"
    assert check_tool_use("make_call", BISTRO | {"business_name": "null"}, "auto") == "done"
    assert check_tool_use("get_call", {"call_id": "x" * 70_000}, "legacy") == "refused"
    assert check_tool_use("make_call", BISTRO | {"not_before": "_error"}, "auto") == "refused"


async def check_answer(
    home: Path, tool: str, arguments: dict[str, Any], given: dict[str, Any]
) -> bool:
    """Use a tool on a service with these bodies, by the ends of their paths; returns whether it
    succeeded.
    """

    def handler(request: Request) -> tuple[int, Any] | Response:
        body = given.get(request.url.path.rpartition("/")[2])
        if isinstance(body, str):
            return Response(body)
        return (404, {"error": {"code": "not_found"}}) if body is None else (200, body)

    async with fake_service(handler) as url:
        settings = settings_in(home, API_URL=url, ACCESS_TOKEN=TOKEN)
        with without_crash():
            async with open_agent(settings, mode="auto", clock=ManualClock(NOW)) as agent:
                used = await agent.use(tool, arguments)
    assert_readable(used.text)
    assert_all_readable(used.data)
    if used.is_error:
        assert_clear(used.text)
    return not used.is_error


ID = {"call_id": "uuid"}
ODD = "\x1b[2J\u202eshown backwards\u2069"


async def test_no_answer_has_a_control_character(tmp_path: Path) -> None:
    call = reference("call_details") | {"status": ODD, "next_steps": ODD}
    entries = [{"speaker": ODD, "content": ODD, "timestamp": ODD}]
    details = call | {"submission": {"respondent_phone": ODD, "business_name": ODD}}
    statistics = reference("statistics") | {"plan_type": ODD, "subscription_status": ODD}
    listed = {"calls": [call | {"call_id": ODD}], "total": 1}

    assert await check_answer(tmp_path, "get_call", ID, {"uuid": details})
    assert await check_answer(tmp_path, "list_calls", {}, {"calls": listed})
    assert await check_answer(
        tmp_path, "get_transcript", ID, {"uuid": call, "transcript": {"entries": entries}}
    )
    assert await check_answer(tmp_path, "check_quota", {}, {"statistics": statistics})
