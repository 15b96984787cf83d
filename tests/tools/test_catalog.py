import json
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it has no types, and one function of it is used
import pytest
from mcp.types import Tool

from kallyai_mcp.tools.catalog import CallTool, tools
from tests.agent import BISTRO, Agent
from tests.conftest import one_generation

mode = pytest.fixture(one_generation)


async def listed(agent: Agent) -> dict[str, Tool]:
    return {tool.name: tool for tool in (await agent.client.list_tools()).tools}


ENUMS: list[tuple[str, str, list[str]]] = [
    ("make_call", "task_category", ["restaurant", "clinic", "hotel", "general"]),
    ("make_call", "language", ["en", "es"]),
    ("make_call", "call_language", ["en", "es"]),
    ("call_around", "task_category", ["restaurant", "clinic", "hotel", "general"]),
    ("call_around", "call_language", ["en", "es"]),
    ("call_around", "until", ["booked", "answered", "all"]),
    ("call_around", "if_answered", ["stop", "continue"]),
    (
        "list_calls",
        "status",
        [
            *("scheduled", "in_progress", "booked", "booked_other_time", "answered", "not_reached"),
            *("failed", "canceled", "unknown", "moved", "expired", "refused"),
            *("busy", "cancelled", "no_answer", "success", "terminated", "voicemail"),
        ],
    ),
]

DEFAULTS: list[tuple[str, str, object]] = [
    ("make_call", "wait_seconds", 45),
    ("make_call", "retries", 0),
    ("call_around", "wait_seconds", 45),
    ("call_around", "if_answered", "stop"),
    ("get_call", "wait_seconds", 0),
    ("list_calls", "limit", 10),
    ("list_calls", "offset", 0),
]

FIELDS: list[tuple[str, str, set[str]]] = [
    ("get_call", "appointment", {"summary", "start", "end", "unconfirmed", "agreed"}),
    ("get_call", "asked", {"appointment_date", "appointment_time", "task_description"}),
    ("get_call", "evidence", {"question", "quote", "at"}),
    ("get_call", "answers", {"question", "quote", "at"}),
    ("get_call", "calls", {"call_id", "outcome", "highlights", "answers"}),
    ("get_call", "not_called", {"respondent_phone", "business_name"}),
    ("list_calls", "calls", {"call_id", "status", "appointment", "created_at"}),
]

BOUNDS: list[tuple[str, str, dict[str, Any]]] = [
    ("make_call", "party_size", {"type": "integer", "minimum": 1, "maximum": 50}),
    ("make_call", "retries", {"type": "integer", "minimum": 0, "maximum": 3}),
    ("make_call", "wait_seconds", {"type": "number", "minimum": 0, "maximum": 1800}),
    ("make_call", "appointment_date", {"type": "string", "format": "date"}),
    (
        "make_call",
        "appointment_time",
        {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"},
    ),
    ("call_around", "party_size", {"type": "integer", "minimum": 1, "maximum": 50}),
    ("list_calls", "limit", {"type": "integer", "minimum": 1, "maximum": 200}),
]

OWN_LIMITS = frozenset({"enum", "minimum", "maximum", "pattern", "format", "minItems", "maxItems"})


def arguments_of(tool: str) -> dict[str, dict[str, Any]]:
    (found,) = (each for each in tools() if each.name == tool)
    return dict(found.parameters["properties"])


def of_a_value(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of an argument's values, but null."""
    return next(one for one in schema.get("anyOf", [schema]) if one["type"] != "null")


@pytest.mark.parametrize(("tool", "argument", "values"), ENUMS)
def test_an_argument_with_few_values_has_enum(tool: str, argument: str, values: list[str]) -> None:
    assert of_a_value(arguments_of(tool)[argument])["enum"] == values


@pytest.mark.parametrize(("tool", "argument", "bounds"), BOUNDS)
def test_an_arguments_bounds_are_in_its_schema(
    tool: str, argument: str, bounds: dict[str, Any]
) -> None:
    schema = of_a_value(arguments_of(tool)[argument])

    assert {name: value for name, value in schema.items() if name != "description"} == bounds


@pytest.mark.parametrize(("tool", "argument", "default"), DEFAULTS)
def test_an_arguments_default_is_in_its_schema(tool: str, argument: str, default: object) -> None:
    assert arguments_of(tool)[argument]["default"] == default


def test_the_default_wait_is_that_of_the_server() -> None:
    waits = {
        tool.name: tool.parameters["properties"]["wait_seconds"]["default"]
        for tool in tools(wait_seconds=100)
        if "wait_seconds" in tool.parameters["properties"]
    }

    assert waits == {"make_call": 100, "call_around": 100, "get_call": 0}


@pytest.mark.parametrize(("tool", "field", "names"), FIELDS)
def test_the_parts_of_a_result_are_described(tool: str, field: str, names: set[str]) -> None:
    (whole,) = (each.output_schema for each in tools() if each.name == tool)
    described = whole["properties"][field]
    described = described.get("items", described)
    match described.get("$ref", "").split("/"):
        case ["#"]:
            described = whole
        case ["#", defs, name]:
            described = whole[defs][name]

    assert names <= described["properties"].keys()


OTHERS_FIELDS: list[tuple[str, set[str]]] = [
    ("make_call", {"until", "calls", "not_called"}),
    ("get_call", {"placed_now", "confirmation", "reasons", "local_times", "minutes_remaining"}),
    ("get_transcript", {"status", "code"}),
]
"""Fields that the results of a tool never have, while those of others do."""


@pytest.mark.parametrize(("tool", "names"), OTHERS_FIELDS)
def test_a_schema_leaves_out_fields_of_others(tool: str, names: set[str]) -> None:
    described = {each.name: each.output_schema["properties"].keys() for each in tools()}

    assert names.isdisjoint(described[tool])
    assert names <= described["call_around"]


async def test_each_answered_field_is_in_the_schema(agent: Agent) -> None:
    made = await agent.use("make_call", BISTRO)
    again = await agent.use("make_call", BISTRO)
    answers = [
        ("make_call", made),
        ("make_call", again),
        ("get_call", await agent.use("get_call", call_id=made.data["call_id"])),
    ]

    described = {each.name: each.output_schema["properties"].keys() for each in tools()}
    assert not [answer for tool, answer in answers if answer.data.keys() - described[tool]]


RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
"""What a client that checks formats takes for a `date-time`."""


async def test_times_have_the_formats_of_their_schemas(agent: Agent) -> None:
    formats = jsonschema.FormatChecker(())
    formats.checks("date-time")(lambda text: RFC_3339.fullmatch(text) is not None)
    made = await agent.use("make_call", BISTRO)
    answers = {
        "make_call": made,
        "get_call": await agent.use("get_call", call_id=made.data["call_id"]),
        "list_calls": await agent.use("list_calls"),
    }

    for tool, listed_tool in (await listed(agent)).items():
        if tool in answers:
            assert listed_tool.output_schema is not None
            jsonschema.validate(
                answers[tool].data, listed_tool.output_schema, format_checker=formats
            )


@pytest.mark.parametrize("tool", ["make_call", "call_around"])
def test_every_argument_of_a_call_is_described(tool: str) -> None:
    assert not [
        name for name, schema in arguments_of(tool).items() if not schema.get("description")
    ]


@pytest.mark.parametrize("tool", tools(), ids=lambda tool: tool.name)
def test_an_optional_argument_that_is_limited_admits_null(tool: CallTool) -> None:
    for name, schema in tool.parameters["properties"].items():
        is_limited = bool(OWN_LIMITS & of_a_value(schema).keys())
        is_optional = name not in tool.parameters.get("required", ())
        assert ({"type": "null"} in schema.get("anyOf", [])) is (is_limited and is_optional), name


def test_a_schema_refers_to_no_other_one() -> None:
    assert '"$ref"' not in json.dumps([tool.parameters for tool in tools()])


def test_the_schemas_of_results_allow_no_nulls() -> None:
    assert not [tool.name for tool in tools() if '"null"' in json.dumps(tool.output_schema)]


ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("make_call", BISTRO | {"respondent_phone": "1234"}, "invalid_arguments"),
    ("make_call", BISTRO | {"respondent_phone": "+12025550121"}, "suppression_violation"),
    ("get_call", {"call_id": "no-such-call"}, "call_not_found"),
    ("get_transcript", {}, "invalid_arguments"),
]


async def test_an_errors_structure_fits_the_tools_schema(agent: Agent) -> None:
    schemas = {name: tool.output_schema or {} for name, tool in (await listed(agent)).items()}
    for tool, arguments, code in ERRORS:
        answer = await agent.use(tool, arguments)

        assert answer.is_error
        jsonschema.validate(answer.data, schemas[tool])
        known = (
            {"status": "error"} if tool != "make_call" else {"status": "refused", "placed": "no"}
        )
        expected = known | {"code": code, "retryable": False}
        assert {
            name: answer.data[name]
            for name in ("status", "placed", *expected)
            if name in answer.data
        } == expected


def test_only_sign_in_needs_no_scope() -> None:
    assert {tool.name for tool in tools() if not tool.scopes} == {"sign_in"}


async def test_catalogs_are_cached_and_calls_are_not(
    agent: Agent,
) -> None:
    client = agent.client
    tools, prompts = await client.list_tools(), await client.list_prompts()
    resources, templates = await client.list_resources(), await client.list_resource_templates()
    kept = [(each.ttl_ms, each.cache_scope) for each in (tools, prompts)]
    kept += [(each.ttl_ms, each.cache_scope) for each in (resources, templates)]

    assert set(kept) == {(300_000, "public")}
    call_id = (await agent.use("make_call", BISTRO)).data["call_id"]
    assert (await client.read_resource(f"kallyai://calls/{call_id}")).ttl_ms == 0
