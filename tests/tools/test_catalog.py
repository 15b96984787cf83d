import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types, and one function of it is used
import pytest
from mcp.types import Tool

from kallyai_mcp.tools.catalog import tools
from tests.agent import BISTRO, Agent
from tests.conftest import one_generation

mode = pytest.fixture(one_generation)


async def listed(agent: Agent) -> dict[str, Tool]:
    return {tool.name: tool for tool in (await agent.client.list_tools()).tools}


def cost(tool: Tool) -> int:
    """How many characters of a tool a model reads."""
    seen = {"name": tool.name, "description": tool.description, "inputSchema": tool.input_schema}
    return len(json.dumps(seen, ensure_ascii=False))


async def test_the_tool_list_stays_short(agent: Agent) -> None:
    costs = {name: cost(tool) for name, tool in (await listed(agent)).items()}

    assert costs["make_call"] <= 3000
    assert sum(costs.values()) <= 7000


def test_a_schema_has_nothing_that_a_framework_drops() -> None:
    for tool in tools():
        for schema in tool.parameters["properties"].values():
            assert schema.keys() <= {"type", "description", "items"}


def test_the_schemas_of_results_stay_small_and_allow_no_nulls() -> None:
    schemas = {tool.name: json.dumps(tool.output_schema, separators=(",", ":")) for tool in tools()}

    assert not [name for name, schema in schemas.items() if '"null"' in schema]
    assert sum(map(len, schemas.values())) <= 9_500


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("make_call", BISTRO | {"respondent_phone": "1234"}, "invalid_arguments"),
    ("make_call", BISTRO | {"respondent_phone": "+12025550121"}, "suppression_violation"),
    ("get_call", {"call_id": "no-such-call"}, "call_not_found"),
    ("get_transcript", {}, "invalid_arguments"),
]


async def test_an_error_carries_a_structure_of_the_tools_own_schema(agent: Agent) -> None:
    schemas = {name: tool.output_schema or {} for name, tool in (await listed(agent)).items()}
    for tool, arguments, code in ERRORS:
        answer = await agent.use(tool, arguments)

        assert answer.is_error
        jsonschema.validate(answer.data, schemas[tool])
        known = {"status": "error"} if tool != "make_call" else {"status": "refused", "placed": "no"}
        expected = known | {"code": code, "retryable": False}
        assert {name: answer.data[name] for name in ("status", "placed", *expected) if name in answer.data} == expected


def test_only_sign_in_needs_no_scope() -> None:
    assert {tool.name for tool in tools() if not tool.scopes} == {"sign_in"}


async def test_lists_may_be_kept_by_everyone_for_five_minutes_and_calls_may_not(agent: Agent) -> None:
    client = agent.client
    tools, prompts = await client.list_tools(), await client.list_prompts()
    resources, templates = await client.list_resources(), await client.list_resource_templates()
    kept = [(each.ttl_ms, each.cache_scope) for each in (tools, prompts)]
    kept += [(each.ttl_ms, each.cache_scope) for each in (resources, templates)]

    assert set(kept) == {(300_000, "public")}
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]
    assert (await client.read_resource(f"kallyai://calls/{call_id}")).ttl_ms == 0
