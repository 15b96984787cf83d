"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that declares it.

A task is another view of a call record or a list. Nothing else is stored: the id of a task is the `tracking_id`, or
contains it (`ListTask`). So a task survives a restart, and any process with the same ledger can answer requests about
it, but only for its account.

Few clients use tasks, and building the pydantic models takes time at every start. So they are built when first used.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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

from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.task_kinds import CallTask, ListTask, Status, find_task
from kallyai_mcp.tools.tool_errors import protocol_errors

TASKS = "io.modelcontextprotocol/tasks"
"""The extension's identifier."""

POLL_INTERVAL = timedelta(seconds=5)
"""How long a client should wait between two requests for a task; a phone call takes 1 to 3 minutes."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions with tasks. A client of an earlier one gets none, even if it declares the extension."""

_Context = ServerRequestContext[AppContext, Any]


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
            await task.cancel(ctx.lifespan_context)
        return EmptyResult()

    def _task(
        self,
        kind: Literal["task", "complete"],
        task: CallTask | ListTask,
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


async def _started(tool: str, result: HandlerResult, ctx: _Context) -> tuple[CallTask | ListTask, bool | None] | None:
    """The call or list that `tool` has placed or found in this request, and its `placed_now`; None if there is none."""
    calls = ctx.lifespan_context.calls
    if tool == "make_call":
        reports = calls.delivery.reports()  # those of this request, from memory: it works without the ledger
        return (CallTask(reports[-1].record), reports[-1].placed_now) if reports else None
    structure = (result.structured_content or {}) if isinstance(result, CallToolResult) else {}
    if tool != "call_around" or structure.get("status") != "in_progress":
        return None
    found = await calls.find_list(structure["tracking_id"])
    return (ListTask.newest(found), structure.get("placed_now")) if found is not None else None


async def check_task_listeners(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: a client that subscribes to tasks by subscriptions/listen must declare the extension.

    If the client declares it, the acknowledgment names no task. This means that there are no notifications about tasks,
    and the client has to poll.

    Raises:
        MCPError: -32021: the client subscribes to tasks, and doesn't declare the extension.
    """
    if ctx.protocol_version in _VERSIONS:
        notifications = (ctx.params or {}).get("notifications")
        if isinstance(notifications, Mapping) and notifications.get("taskIds"):
            require_client_extension(ctx, TASKS)
    return await call_next(ctx)


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


async def _find(ctx: _Context, task_id: str) -> CallTask | ListTask:
    """The task with this id, if the account has it and the client declares the extension.

    Raises:
        MCPError: As `CallTasks.methods` says.
    """
    require_client_extension(ctx, TASKS)
    _check_name_header(ctx, task_id)
    with protocol_errors():
        task = await find_task(ctx.lifespan_context, task_id)
    if task is None:
        raise MCPError(INVALID_PARAMS, "Task not found")
    return task


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Check over HTTP that the header `Mcp-Name` names the same task as the body (SEP-2663, SEP-2243).

    Raises:
        MCPError: -32020: the header names another task.
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )
