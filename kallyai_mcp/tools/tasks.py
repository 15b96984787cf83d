"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that declares it.

A task is another view of a call record or a list. Nothing else is stored: the id of a task is the `tracking_id`, or
contains it (`FoundTask.of_list`). So a task survives a restart, and any process with the same ledger can answer
requests about it, but only for its account.

Few clients use tasks, and building the pydantic models takes time at every start. So they are built when first used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mcp import MCPError
from mcp.server.apps import client_supports_apps
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    EmptyResult,
    RequestParams,
    Result,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_results import call_words, cancel_list, list_words
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.resource_links import links
from kallyai_mcp.tools.text import call_lists as list_texts
from kallyai_mcp.tools.text.calls import task_status
from kallyai_mcp.tools.text.scheduled import scheduled_task
from kallyai_mcp.tools.text.times import Reader
from kallyai_mcp.tools.tool_errors import protocol_errors, tool_error

TASKS = "io.modelcontextprotocol/tasks"
"""The extension's identifier."""

POLL_INTERVAL = timedelta(seconds=5)
"""How long a client should wait between two requests for a task; a phone call takes 1 to 3 minutes."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions with tasks. A client of an earlier one gets none, even if it declares the extension."""

_Context = ServerRequestContext[AppContext, Any]


Status = Literal["working", "completed", "cancelled"]

_DIGITS = 14
"""The most digits of milliseconds since the epoch; enough until the year 5138."""


@dataclass(frozen=True)
class FoundTask:
    """A call or a list as a task; `ended_at` is None while it goes on, or if it is not known when it ended."""

    found: CallRecord | CallList
    id: str
    created_at: datetime
    status: Status
    ended_at: datetime | None

    @classmethod
    def of_call(cls, record: CallRecord) -> "FoundTask":
        """A call as a task."""
        status: Status = "working" if record.is_open else "completed"
        if record.state is CallState.CANCELED:
            status = "cancelled"
        return cls(record, record.tracking_id, record.placed_at, status, record.ended_at)

    @classmethod
    def of_list(cls, found: CallList, began: int | None = None) -> "FoundTask":
        """A list as a task: the time from a request that starts it, or makes it go on, until it stops.

        A completed task must stay completed (SEP-2663, "Task Status Lifecycle"). So a list that goes on after a
        decision is a new task. Its id has the time of its request, `began`, in milliseconds since the epoch; None is
        the newest request. A list that was canceled after a call may have reached somebody is `completed`, so that the
        client gets the result.
        """
        newest = _milliseconds(found.asked_at)
        began, id_ = newest if began is None else began, found.list_id
        status: Status = "completed"
        ended_at: datetime | None = found.asked_at  # of an earlier request
        if began == newest:
            ends = (found.ended_at, *(record.ended_at for record in found.records[-1:]))
            ended_at = max((end for end in ends if end is not None), default=found.asked_at)
            status = "working" if found.is_open else "completed"
            if not found.is_open and found.stop_reason is StopReason.CANCELED and not found.may_have_reached:
                status = "cancelled"
        return cls(found, f"{id_}.{began}", datetime.fromtimestamp(began / 1000, UTC), status, ended_at)

    def text(self, reader: Reader, *, is_duplicate: bool = False) -> str:
        """How far the task is, in words; with `is_duplicate`, the same was asked for before."""
        if isinstance(self.found, CallList):
            return list_texts.task_status(self.found, is_duplicate=is_duplicate)
        if self.found.state is CallState.SCHEDULED:
            return scheduled_task(self.found, reader, is_duplicate=is_duplicate)
        return task_status(self.found, reader, is_duplicate=is_duplicate)

    async def result(self, app_context: AppContext, *, with_links: bool) -> CallToolResult:
        """The result that the tool would have returned, had it waited for the end."""
        if isinstance(self.found, CallList):
            return (await list_words(app_context, self.found, placed_now=True)).for_client()
        try:
            result = await call_words(app_context, self.found, placed_now=True)
            return result.for_client(*links(result, for_apps=with_links))
        except KallyAIError as error:
            return await tool_error(error, app_context, tool="make_call", places_calls=True)


async def find_task(app_context: AppContext, id_: str) -> FoundTask | None:
    """The task with this id, if the account has it; else None."""
    list_id, _, began = id_.rpartition(".")
    if began.isascii() and began.isdecimal() and len(began) <= _DIGITS:
        found = await app_context.calls.find_list(list_id)
        if found is not None and int(began) <= _milliseconds(found.asked_at):
            return FoundTask.of_list(found, int(began))
    record = await app_context.calls.find(id_)
    # `find` also finds a call by its call_id, which is not the id of a task.
    return FoundTask.of_call(record) if record is not None and record.tracking_id == id_ else None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


class TaskParams(RequestParams, defer_build=True):
    """The parameters of tasks/get, tasks/update, and tasks/cancel; `inputResponses` are ignored."""

    task_id: str


class Task(Result, defer_build=True):
    """The specification's CreateTaskResult (`result_type` "task") and GetTaskResult ("complete").

    `created_at` and `last_updated_at` are sent as ISO 8601; `ttl_ms` and `poll_interval_ms` are in milliseconds. While
    a call is in progress, `status_message` says how long it has lasted, so `last_updated_at` is the time of the answer.
    """

    result_type: Literal["task", "complete"]
    task_id: str
    status: Status
    status_message: str | None = None
    created_at: AwareDatetime
    last_updated_at: AwareDatetime
    ttl_ms: int
    poll_interval_ms: int = POLL_INTERVAL // timedelta(milliseconds=1)
    result: dict[str, Any] | None = None


class CallTasks(Extension):
    """Phone calls as tasks, for clients that declare the extension; `keep_days` is sent as the tasks' `ttlMs`."""

    identifier = TASKS

    def __init__(self, *, keep_days: float) -> None:
        self._ttl_ms = timedelta(days=keep_days) // timedelta(milliseconds=1)

    def methods(self) -> Sequence[MethodBinding]:
        """tasks/get; tasks/update, which changes nothing; and tasks/cancel, which does the same as cancel_call.

        They raise `MCPError`. -32021: the client doesn't declare the extension. -32020: `Mcp-Name` names another task.
        -32602: the account has no such task. -32603: the ledger or the account can't be read, for example because
        nobody is signed in.
        """
        return [
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", TaskParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: _Context, call_next: CallNext
    ) -> HandlerResult:
        """Return a `Task` in place of the result of make_call or call_around while the call or list is in progress.

        For a client with tasks, these tools don't wait (`seconds_to_wait`). Their other results are returned unchanged:
        wrong arguments, a refusal, a call that has ended, and a list that has stopped.
        """
        result = await call_next(ctx)
        started = await _started(params.name, result, ctx) if _accepts_tasks(ctx) else None
        if started is None or started[0].status != "working":
            return result
        task, placed_now = started
        reader = ctx.lifespan_context.reader()
        return self._task("task", task, reader.now, status_message=task.text(reader, is_duplicate=placed_now is False))

    async def _get(self, ctx: _Context, params: TaskParams) -> Task:
        task, app_context = await _find(ctx, params.task_id), ctx.lifespan_context
        reader = app_context.reader()
        if task.status == "completed":
            result = await task.result(app_context, with_links=client_supports_apps(ctx))
            return self._task("complete", task, task.ended_at or reader.now, result=result)
        updated_at = reader.now if task.status == "working" else task.ended_at or reader.now
        return self._task("complete", task, updated_at, status_message=task.text(reader))

    async def _update(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        await _find(ctx, params.task_id)
        return EmptyResult()

    async def _cancel(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        task = await _find(ctx, params.task_id)
        with protocol_errors():
            if isinstance(task.found, CallRecord):
                await ctx.lifespan_context.calls.cancel(task.found.tracking_id)
            elif task.status == "working":
                await cancel_list(ctx.lifespan_context, task.found)
        return EmptyResult()

    def _task(
        self,
        kind: Literal["task", "complete"],
        task: FoundTask,
        last_updated_at: datetime,
        *,
        status_message: str | None = None,
        result: CallToolResult | None = None,
    ) -> Task:
        return Task(
            result_type=kind,
            task_id=task.id,
            status=task.status,
            status_message=status_message,
            created_at=task.created_at,
            last_updated_at=last_updated_at,
            ttl_ms=self._ttl_ms,
            result=result.model_dump(by_alias=True, mode="json", exclude_none=True) if result is not None else None,
        )


async def _started(tool: str, result: HandlerResult, ctx: _Context) -> tuple[FoundTask, bool | None] | None:
    """The call or list that `tool` has placed or found in this request, and its `placed_now`; None if there is none."""
    calls = ctx.lifespan_context.calls
    if tool == "make_call":
        reports = calls.delivery.reports()  # those of this request, from memory: it works without the ledger
        return (FoundTask.of_call(reports[-1].record), reports[-1].placed_now) if reports else None
    structure = (result.structured_content or {}) if isinstance(result, CallToolResult) else {}
    if tool != "call_around" or structure.get("status") != "in_progress":
        return None
    found = await calls.find_list(structure["tracking_id"])
    return (FoundTask.of_list(found), structure.get("placed_now")) if found is not None else None


def seconds_to_wait(wait_seconds: float | None, ctx: _Context, *, placed_now: bool | None) -> float:
    """How many seconds a tool waits for a call or a list to end before it answers "in progress".

    Args:
        wait_seconds: The tool's argument; None for the setting (`KALLYAI_WAIT_SECONDS`).
        ctx: The request.
        placed_now: None if the tool only looks at a call or a list; otherwise a client with tasks gets one at once.
    """
    if placed_now is not None and _accepts_tasks(ctx):
        return 0  # the client polls the task
    return ctx.lifespan_context.wait_seconds if wait_seconds is None else wait_seconds


def _accepts_tasks(ctx: _Context) -> bool:
    """Whether the result of this request may be a task."""
    capability = ClientCapabilities(extensions={TASKS: {}})
    return ctx.protocol_version in _VERSIONS and ctx.session.check_client_capability(capability)


async def _find(ctx: _Context, task_id: str) -> FoundTask:
    """The task with this id, if the account has it and the client declares the extension."""
    require_client_extension(ctx, TASKS)
    _check_name_header(ctx, task_id)
    with protocol_errors():
        task = await find_task(ctx.lifespan_context, task_id)
    if task is None:
        raise MCPError(INVALID_PARAMS, "Task not found")
    return task


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Check over HTTP that the header `Mcp-Name` names the same task as the body (SEP-2663, SEP-2243)."""
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )
