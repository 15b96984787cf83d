"""The reference's "Call Endpoints" and "CallResponse": over HTTP, and the same facts from the tools."""

import re
import uuid
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest
from icalendar import Calendar

from kallyai_mcp.sandbox.simulator.numbers import TEST_NUMBERS
from tests.agent import Answer
from tests.reference.conftest import EXAMPLE, Service, bearer, code_of, example
from tests.reference.statements import each, fields, states

NUMBERS = {entry.name: entry.number for entry in reversed(TEST_NUMBERS)}
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def placed(service: Service) -> httpx2.Response:
    """The response to the example's call."""
    return service.post_call()


@pytest.fixture(scope="module")
def call_id(placed: httpx2.Response) -> str:
    return str(placed.json()["call_id"])


@pytest.fixture(scope="module")
def shown(service: Service, call_id: str) -> Answer:
    """The same call from the tools."""
    return service.use("get_call", {"call_id": call_id})


def same(call: dict[str, Any], structure: dict[str, Any], name: str) -> Any:
    """The field `name` of a call, which must be the same in the structure of a tool."""
    value = call["submission"][name] if name in call["submission"] else call.get(name, call["metadata"].get(name))
    nested = structure.get("submission", {}).get(name)
    assert value == structure.get(name, nested)
    return value


def is_like(value: Any, name: str, payload: dict[str, Any]) -> bool:
    """Whether a value has the type of the reference's example, and its format if that is a UUID or a time."""
    told = {**payload, **payload["metadata"], **payload["submission"]}[name]
    if told == "uuid":
        return UUID.fullmatch(value) is not None
    if name == "created_at":
        return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", value) is not None
    return type(value) is type(told)


@pytest.fixture(scope="module")
def placed_by_tool(service: Service) -> Answer:
    return service.make_call({"business_name": "Bistro Two"})


@states("Create Call", "201 Created")
def test_create_call_answers_201_with_a_call_response(placed: httpx2.Response, placed_by_tool: Answer) -> None:
    assert placed.status_code == 201
    assert placed.json().keys() == example("call_details").keys()
    assert not placed_by_tool.is_error


@states("Create Call", "POST /v1/calls")
def test_create_call_is_a_post_to_v1_calls(service: Service, placed: httpx2.Response, placed_by_tool: Answer) -> None:
    listed = {call["call_id"] for call in service.json("/v1/calls", limit=200)["calls"]}

    assert service.http.put("/v1/calls", json={}).status_code == 405
    assert {placed.json()["call_id"], placed_by_tool.data["call_id"]} <= listed


@states("Create Call", "Creates an AI phone call")
def test_create_call_makes_a_phone_call_that_accomplishes_the_task(
    service: Service, placed: httpx2.Response, placed_by_tool: Answer
) -> None:
    for call in (placed.json(), placed_by_tool.data):
        assert call["highlights"].startswith("Reserved a table for 4 at ")
        assert len(service.json(f"/v1/calls/{call['call_id']}/transcript")["entries"]) > 2


@states("Create Call", "Request Body")
def test_the_body_of_create_call_is_a_call_create_request(service: Service) -> None:
    assert service.http.post("/v1/calls", content=b"x", headers=bearer(service.token())).status_code == 400
    assert service.post_call(nonsense=True).status_code == 201  # a field beside the reference's is ignored
    assert service.post_call({"nonsense": True}).status_code == 400
    assert service.make_call({"nonsense": True}).is_error


@states("Create Call", "Authorization: Bearer")
def test_create_call_needs_a_bearer(service: Service) -> None:
    response = service.http.post("/v1/calls", json={"submission": EXAMPLE, "timezone": "America/New_York"})
    answer = service.make_call({"business_name": "Nobody's"}, token="not-a-token-of-anybody")

    assert code_of(response) == (401, "missing_token")
    assert answer.is_error


@states("Create Call", "Idempotency-Key")
def test_an_idempotency_key_is_optional_and_makes_one_call_of_two_requests(service: Service) -> None:
    key = str(uuid.uuid4())
    once, twice = (service.post_call({"business_name": "Keyed"}, key=key).json() for _ in range(2))
    without = service.post_call({"business_name": "Keyed"}).json()
    tool_once, tool_twice = (service.make_call({"business_name": "Keyed by the tool"}) for _ in range(2))

    assert once == twice
    assert without["call_id"] != once["call_id"]
    assert tool_once.data["call_id"] == tool_twice.data["call_id"]
    assert tool_twice.data["placed_now"] is False


@states("Create Call", "auto-generated for GPT clients")
def test_a_key_is_generated_for_a_client_of_the_code_flow(service: Service) -> None:
    token = service.exchange()["access_token"]
    once, twice = (service.post_call({"business_name": "Generated"}, token=token).json() for _ in range(2))

    assert once == twice


ERRORS = {
    "`400`": ({"party_size": 51}, 400, "party_size"),
    "`401`": ({}, 401, "KALLYAI_ACCESS_TOKEN"),
    "`402`": ({}, 402, "quota_exceeded"),
    "`403`": ({"respondent_phone": "+61255500100"}, 403, "unsupported_country"),
    "`422`": ({"appointment_date": "2027-12-01"}, 422, "scheduling_violation"),
}


@each("Create Call", {name: (name, *case) for name, case in ERRORS.items()})
def test_create_call_has_this_error(service: Service, case: tuple[str, dict[str, Any], int, str]) -> None:
    name, changes, status, words = case
    token = {"`401`": "no-token-of-anybody", "`402`": service.token("acct-empty")}.get(name)
    response = service.post_call(changes, token=token)
    answer = service.make_call(changes, token=token)

    assert response.status_code == status
    assert answer.is_error
    assert words in answer.result.model_dump_json()


@states("List Calls", "GET /v1/calls")
def test_list_calls_has_the_newest_calls_first(service: Service, call_id: str) -> None:
    calls = service.json("/v1/calls", limit=200)["calls"]
    listed = service.use("list_calls", {"limit": 200}).data["calls"]

    assert call_id in [call["call_id"] for call in calls]
    assert [call["call_id"] for call in calls] == [call["call_id"] for call in listed]


@states("List Calls", "`limit`")
def test_limit_is_50_by_default_and_from_1_to_200(service: Service) -> None:
    for index in range(51):
        service.post_call({"business_name": f"Place {index}"})

    assert len(service.json("/v1/calls")["calls"]) == 50
    assert len(service.json("/v1/calls", limit=1)["calls"]) == 1
    assert len(service.json("/v1/calls", limit=200)["calls"]) > 50
    assert len(service.use("list_calls", {"limit": 1}).data["calls"]) == 1
    assert len(service.use("list_calls", {"limit": 200}).data["calls"]) > 50
    for wrong in (0, 201, "many"):
        assert service.get("/v1/calls", limit=wrong).status_code == 400
        # To the tools, 0 stands for absent: a model in a strict mode has to send something.
        assert service.use("list_calls", {"limit": wrong}).is_error is (wrong != 0)


@states("List Calls", "`offset`")
def test_offset_leaves_out_the_first_calls_and_is_0_by_default(service: Service, call_id: str) -> None:
    del call_id
    service.post_call({"respondent_phone": "+12025550142"})
    first = service.json("/v1/calls", limit=1)["calls"]
    second = service.json("/v1/calls", limit=1, offset=1)["calls"]
    both = service.json("/v1/calls", limit=2)["calls"]
    listed = service.use("list_calls", {"limit": 1, "offset": 1}).data

    assert [*first, *second] == both
    assert [call["call_id"] for call in listed["calls"]] == [second[0]["call_id"]]
    assert listed["offset"] == 1


@fields("List Calls", "calls", "total")
def test_a_list_has_this_field(service: Service, case: str, call_id: str) -> None:
    del call_id
    page, structure = service.json("/v1/calls", limit=2), service.use("list_calls", {"limit": 2}).data

    assert page.keys() == example("call_list").keys()
    assert page[case] if case == "calls" else page[case] == structure[case]
    assert len(structure["calls"]) == len(page["calls"])


@fields("List Calls", "call_id", "status", "created_at", "respondent_phone", "business_name")
def test_a_listed_call_has_this_field(service: Service, case: str, call_id: str) -> None:
    (call,) = (call for call in service.json("/v1/calls", limit=200)["calls"] if call["call_id"] == call_id)
    listed = service.use("list_calls", {"limit": 200}).data["calls"]
    (structure,) = (each for each in listed if each["call_id"] == call_id)

    (payload,) = example("call_list")["calls"]
    assert call.keys() == payload.keys()
    assert is_like(same(call, structure, case), case, payload)


@states("Get Call Details", "GET /v1/calls/{call_id}")
def test_get_call_details_is_what_create_call_answered(
    service: Service, placed: httpx2.Response, shown: Answer, call_id: str
) -> None:
    assert service.json(f"/v1/calls/{call_id}") == placed.json()
    assert shown.data["call_id"] == call_id


@fields(
    "Get Call Details",
    "call_id",
    "status",
    "highlights",
    "next_steps",
    "duration_seconds",
    "created_at",
    "respondent_phone",
    "business_name",
    "task_description",
)
def test_call_details_have_this_field(service: Service, case: str, shown: Answer, call_id: str) -> None:
    call = service.json(f"/v1/calls/{call_id}")

    assert is_like(same(call, shown.data, case), case, example("call_details"))


@fields("CallResponse", "call_id", "highlights", "next_steps", "duration_seconds", "created_at")
def test_a_call_response_has_this_field(case: str, placed: httpx2.Response, shown: Answer) -> None:
    assert is_like(same(placed.json(), shown.data, case), case, example("call_details"))


@states("CallResponse", '"submission"')
def test_a_call_response_has_the_original_submission(placed: httpx2.Response, shown: Answer) -> None:
    assert placed.json()["submission"] == shown.data["submission"] == EXAMPLE


STATUSES = ("success", "no_answer", "busy", "failed", "voicemail", "cancelled")


@each("CallResponse", {status: status for status in STATUSES})
def test_a_call_can_end_with_this_status(service: Service, case: str) -> None:
    number = {"respondent_phone": NUMBERS[case]}

    assert service.post_call(number).json()["status"] == case
    assert service.make_call(number).data["status"] == case


@states("Get Transcript", "/transcript")
def test_get_transcript_has_the_conversation(service: Service, call_id: str) -> None:
    entries = service.json(f"/v1/calls/{call_id}/transcript")["entries"]

    assert service.use("get_transcript", {"call_id": call_id}).data["entries"] == entries


FORMATS = {
    '"entries"': ("entries", list),
    '"speaker"': ("speaker", re.compile("AI|HUMAN")),
    '"content"': ("content", re.compile(r"\S.*")),
    '"timestamp"': ("timestamp", re.compile(r"\d\d:\d\d:\d\d")),
}


@each("Get Transcript", FORMATS)
def test_a_transcript_has_this_field(service: Service, case: tuple[str, Any], call_id: str) -> None:
    name, form = case
    transcript = service.json(f"/v1/calls/{call_id}/transcript")
    told = service.use("get_transcript", {"call_id": call_id})

    assert transcript.keys() == example("transcript").keys()
    if name == "entries":
        assert isinstance(transcript[name], form)
        assert len(transcript[name]) > 2
    for entry in transcript["entries"]:
        assert entry.keys() == example("transcript")["entries"][0].keys()
        assert name == "entries" or form.fullmatch(entry[name])
    assert transcript["entries"][0]["content"] in told.text


@states("Get Calendar Event", "/calendar.ics")
def test_get_calendar_event_needs_an_appointment(service: Service, call_id: str) -> None:
    busy = service.post_call({"respondent_phone": NUMBERS["busy"]}).json()["call_id"]

    for id_, is_there in ((call_id, True), (busy, False)):
        assert service.get(f"/v1/calls/{id_}/calendar.ics").status_code == (200 if is_there else 404)
        assert service.use("get_calendar_event", {"call_id": id_}).is_error is not is_there


@states("Get Calendar Event", "Returns ICS calendar file")
def test_get_calendar_event_is_an_ics_file_with_the_appointment(service: Service, call_id: str) -> None:
    response = service.get(f"/v1/calls/{call_id}/calendar.ics")
    answer = service.use("get_calendar_event", {"call_id": call_id})

    assert response.headers["content-type"].startswith("text/calendar")
    (event,) = Calendar.from_ical(response.text).walk("VEVENT")
    assert event.decoded("dtstart") == datetime(2026, 1, 28, 19, tzinfo=ZoneInfo("America/New_York"))
    assert answer.data["calendar_uri"] == f"kallyai://calls/{call_id}/calendar.ics"
    assert answer.data["start"] == "2026-01-28T16:00:00-08:00"  # the same moment by the callee's clock
