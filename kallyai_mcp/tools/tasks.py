"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that declares it.

A task is another view of a call record or a list. Nothing else is stored: the id of a task is the `tracking_id`, or
contains it (`task_of`). So a task survives a restart, and any process with the same ledger can answer requests about
it, but only for its account.

Few clients use tasks, and building the pydantic models takes time at every start. So they are built when first used.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from mcp import MCPError
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    EmptyResult,
    RequestParams,
    Result,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.api.models import Call
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_results import cancel_list
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.calls import TASKS, accepts_tasks, result_of
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.calls import call_text
from kallyai_mcp.tools.tool_errors import protocol_errors
from kallyai_mcp.tools.views import find_any

POLL_INTERVAL = timedelta(seconds=5)
"""How long a client should wait between two requests for a task; a phone call takes 1 to 3 minutes."""

_Context = ServerRequestContext[AppContext, Any]


Status = Literal["working", "completed", "cancelled"]


@dataclass(frozen=True)
class FoundTask:
    """A call or a list as a task; `ended_at` is None while it goes on, or if it is not known when it ended."""

    found: CallRecord | CallList
    id: str
    created_at: datetime
    status: Status
    ended_at: datetime | None


def task_of(found: CallRecord | CallList) -> FoundTask:
    """A call, or the newest request for a list, as a task.

    A completed task must stay completed (SEP-2663, "Task Status Lifecycle"). So a list that goes on after a decision is
    a new task. Its id has the time of its request, in milliseconds since the epoch. A list that was canceled after a
    call may have reached somebody is `completed`, so that the client gets the result.
    """
    status: Status = "working" if found.is_open else "completed"
    if isinstance(found, CallRecord):
        status = "cancelled" if found.state is CallState.CANCELED else status
        return FoundTask(found, found.tracking_id, found.placed_at, status, found.ended_at)
    if not found.is_open and found.stop_reason is StopReason.CANCELED and not found.may_have_reached:
        status = "cancelled"
    ends = (found.ended_at, *(record.ended_at for record in found.records[-1:]))
    ended_at = None if found.is_open else max((end for end in ends if end is not None), default=found.asked_at)
    began = _milliseconds(found.asked_at)
    return FoundTask(found, f"{found.list_id}.{began}", _moment(began), status, ended_at)


async def find_task(app_context: AppContext, id_: str) -> FoundTask | None:
    """The task with this id, if the account has it; else None."""
    if parts := re.fullmatch(r"(.+)\.([0-9]{1,14})", id_):
        found, began = await app_context.calls.find_list(parts[1]), int(parts[2])
        if found is not None and began <= _milliseconds(found.asked_at):
            if began == _milliseconds(found.asked_at):
                return task_of(found)
            return FoundTask(found, id_, _moment(began), "completed", found.asked_at)
    record = await app_context.calls.find(id_)
    # `find` also finds a call by its call_id, which is not the id of a task.
    return task_of(record) if record is not None and record.tracking_id == id_ else None


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


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
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding("tasks/get", TaskParams, self._get, versions),
            MethodBinding("tasks/update", TaskParams, self._update, versions),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, versions),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: _Context, call_next: CallNext
    ) -> HandlerResult:
        """Return a `Task` in place of the result of make_call or call_around while the call or list is in progress.

        For a client with tasks, these tools don't wait (`wait_and_answer`). Their other results are returned unchanged:
        wrong arguments, a refusal, a call that has ended, and a list that has stopped.
        """
        result = await call_next(ctx)
        structure = (result.structured_content or {}) if isinstance(result, CallToolResult) else {}
        id_ = structure.get("tracking_id")
        if id_ is None or params.name not in ("make_call", "call_around") or not accepts_tasks(ctx):
            return result
        try:
            found = await find_any(ctx.lifespan_context, id_)
        except KallyAIError:  # the ledger can't be read now; get_call follows the call
            return result
        if isinstance(found, Call):
            return result
        if not found.is_open:
            if structure.get("status") == "in_progress":  # it has ended since
                result = await result_of(ctx.lifespan_context, found, placed_now=structure.get("placed_now"))
            return result
        return await self._task("task", task_of(found), ctx, is_duplicate=structure.get("placed_now") is False)

    async def _get(self, ctx: _Context, params: TaskParams) -> Task:
        return await self._task("complete", await _find(ctx, params.task_id), ctx)

    async def _update(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        await _find(ctx, params.task_id)
        return EmptyResult()

    async def _cancel(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        task = await _find(ctx, params.task_id)
        with protocol_errors():
            if isinstance(task.found, CallRecord):
                await ctx.lifespan_context.calls.cancel(task.found)
            elif task.status == "working":
                await cancel_list(ctx.lifespan_context, task.found)
        return EmptyResult()

    async def _task(
        self, kind: Literal["task", "complete"], task: FoundTask, ctx: _Context, *, is_duplicate: bool = False
    ) -> Task:
        """The task with its result, if it is completed, and else with its status in words."""
        app_context, found, result, message = ctx.lifespan_context, task.found, None, None
        reader = app_context.reader()
        if task.status == "completed":
            answer = await result_of(app_context, found, placed_now=True)
            result = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
        elif isinstance(found, CallList):
            message = call_list(found, reader, (), is_duplicate=is_duplicate)
        else:
            message = call_text(CallView.of_record(found), reader, is_duplicate=is_duplicate)
        return Task(
            result_type=kind,
            task_id=task.id,
            status=task.status,
            status_message=message and message.partition("\n")[0],  # what follows names the tools for the next step
            created_at=task.created_at,
            last_updated_at=task.ended_at or reader.now,
            ttl_ms=self._ttl_ms,
            result=result,
        )


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
