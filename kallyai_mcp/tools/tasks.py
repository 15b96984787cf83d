"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that declares it.

A task is a call record or a list under another name, and nothing else is stored: its id is the `tracking_id`, or has it
(`ListTask`). So it survives a restart, any process with the same ledger can answer for it, and only its account can see
it.

Few clients use tasks, and building the models takes time at every start, so they are built when they are used.
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
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ClientCapabilities,
    EmptyResult,
    RequestParams,
    Result,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime
from typing_extensions import override

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_results import to_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.list_results import cancel_list, list_result
from kallyai_mcp.tools.list_tasks import ListTask, find_list_task
from kallyai_mcp.tools.text import call_lists as list_texts
from kallyai_mcp.tools.text.calls import task_status
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.scheduled import scheduled_task
from kallyai_mcp.tools.tool_errors import tool_error
from kallyai_mcp.tools.user_language import reads_spanish

TASKS = "io.modelcontextprotocol/tasks"
"""The extension's identifier."""

POLL_INTERVAL = timedelta(seconds=5)
"""How often a client should ask: a phone call takes 1 to 3 minutes."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""The protocol versions with tasks. A client of an earlier one gets none, even if it declares the extension."""

_Context = ServerRequestContext[AppContext, Any]


class TaskParams(RequestParams, defer_build=True):
    """The parameters of tasks/get, tasks/update, and tasks/cancel; `inputResponses` are ignored."""

    task_id: str


class Task(Result, defer_build=True):
    """The specification's CreateTaskResult (`result_type` "task") and GetTaskResult ("complete").

    `created_at` and `last_updated_at` are sent as ISO 8601, `ttl_ms` and `poll_interval_ms` are in milliseconds. While
    a call is in progress its message says how long it has lasted, so it was last updated at the moment of the answer.
    """

    result_type: Literal["task", "complete"]
    task_id: str
    status: Literal["working", "completed", "cancelled"]
    status_message: str | None = None
    created_at: AwareDatetime
    last_updated_at: AwareDatetime
    ttl_ms: int
    poll_interval_ms: int = POLL_INTERVAL // timedelta(milliseconds=1)
    result: dict[str, Any] | None = None


class CallTasks(Extension):
    """Phone calls as tasks, for clients that declare the extension.

    Args:
        keep_days: How many days the ledger keeps a call; a task says so as its `ttlMs`.
    """

    identifier = TASKS

    def __init__(self, *, keep_days: float) -> None:
        self._ttl_ms = timedelta(days=keep_days) // timedelta(milliseconds=1)

    @override
    def methods(self) -> Sequence[MethodBinding]:
        """tasks/get; tasks/update, which changes nothing; and tasks/cancel, which does the same as cancel_call.

        They raise `MCPError`: -32021 for a client that doesn't declare the extension, -32602 for a task that this
        account doesn't have, -32603 when the ledger or the account can't be read, for example without a sign-in.
        """
        return [
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", TaskParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        ]

    @override
    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: _Context, call_next: CallNext
    ) -> HandlerResult:
        """Return a `Task` in place of the result of make_call or call_around while the call or list is in progress.

        They don't wait for such a client. Their other results (wrong arguments, a refusal, a call that has ended, a
        list that has stopped) are returned as they are.
        """
        result = await call_next(ctx)
        if params.name == "call_around" and accepts_tasks(ctx) and isinstance(result, CallToolResult):
            return await self._started_list(ctx, result)
        reports = ctx.lifespan_context.calls.delivery.reports()
        if params.name != "make_call" or not accepts_tasks(ctx) or not reports:
            return result
        record, is_new = reports[-1].record, reports[-1].is_new
        if not record.is_open:
            return result
        now = ctx.lifespan_context.now()
        if record.state is CallState.SCHEDULED:
            return await self._scheduled("task", record, ctx.lifespan_context, is_duplicate=is_new is False)
        spanish = await reads_spanish(ctx.lifespan_context, record.submission.language)
        text = task_status(record, now, spanish=spanish, is_new=is_new is not False)
        return self._task("task", record, "working", now, status_message=text)

    async def _started_list(self, ctx: _Context, result: CallToolResult) -> HandlerResult:
        structure = result.structured_content or {}
        if structure.get("status") != "in_progress":
            return result
        found = await ctx.lifespan_context.calls.find_list(structure["tracking_id"])
        if found is None or not found.is_open:
            return result
        is_duplicate = structure.get("placed_now") is False
        spanish = await reads_spanish(ctx.lifespan_context, found.language)
        text = list_texts.task_status(found, spanish=spanish, is_duplicate=is_duplicate)
        return self._task("task", ListTask.newest(found), "working", ctx.lifespan_context.now(), status_message=text)

    async def _get(self, ctx: _Context, params: TaskParams) -> Task:
        record = await _find(ctx, params.task_id)
        app_context = ctx.lifespan_context
        now = app_context.now()
        if isinstance(record, ListTask):
            return await self._get_list(app_context, record, now)
        if record.state is CallState.SCHEDULED:
            return await self._scheduled("complete", record, app_context)
        spanish = await reads_spanish(app_context, record.submission.language)
        if record.is_active:
            text = task_status(record, now, spanish=spanish)
            return self._task("complete", record, "working", now, status_message=text)
        ended_at = record.ended_at or now
        if record.state is CallState.CANCELED:
            text = task_status(record, now, spanish=spanish)
            return self._task("complete", record, "cancelled", ended_at, status_message=text)
        result = await _result(app_context, record, spanish=spanish, with_links=client_supports_apps(ctx))
        return self._task("complete", record, "completed", ended_at, result=result)

    async def _get_list(self, app_context: AppContext, task: ListTask, now: datetime) -> Task:
        if task.status == "completed":
            result = await list_result(app_context, task.found, is_new=True)
            return self._task("complete", task, "completed", task.ended_at, result=result)
        updated_at = now if task.status == "working" else task.ended_at
        spanish = await reads_spanish(app_context, task.found.language)
        text = list_texts.task_status(task.found, spanish=spanish)
        return self._task("complete", task, task.status, updated_at, status_message=text)

    async def _update(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        await _find(ctx, params.task_id)
        return EmptyResult()

    async def _cancel(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        record = await _find(ctx, params.task_id)
        try:
            if not isinstance(record, ListTask):
                await ctx.lifespan_context.calls.cancel(record.tracking_id)
            elif record.status == "working":
                await cancel_list(ctx.lifespan_context, record.found)
        except KallyAIError as error:
            raise await _failure(error, ctx.lifespan_context) from error
        return EmptyResult()

    async def _scheduled(
        self,
        kind: Literal["task", "complete"],
        record: CallRecord,
        app_context: AppContext,
        *,
        is_duplicate: bool = False,
    ) -> Task:
        now, spanish = app_context.now(), await reads_spanish(app_context, record.submission.language)
        text = scheduled_task(record, now, zone_name=app_context.timezone, spanish=spanish, is_duplicate=is_duplicate)
        return self._task(kind, record, "working", now, status_message=text)

    def _task(
        self,
        kind: Literal["task", "complete"],
        followed: CallRecord | ListTask,
        status: Literal["working", "completed", "cancelled"],
        last_updated_at: datetime,
        *,
        status_message: str | None = None,
        result: CallToolResult | None = None,
    ) -> Task:
        if isinstance(followed, ListTask):
            id_, created_at = followed.id, followed.created_at
        else:
            id_, created_at = followed.tracking_id, followed.placed_at
        return Task(
            result_type=kind,
            task_id=id_,
            status=status,
            status_message=status_message,
            created_at=created_at,
            last_updated_at=last_updated_at,
            ttl_ms=self._ttl_ms,
            result=result.model_dump(by_alias=True, mode="json", exclude_none=True) if result is not None else None,
        )


async def check_task_listeners(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: a client that listens to tasks by subscriptions/listen must declare the extension.

    For a client that does, the acknowledgment names no task, which means that there will be no notifications: tasks are
    polled.

    Raises:
        MCPError: -32021: the client listens to tasks, and doesn't declare the extension.
    """
    if ctx.method == "subscriptions/listen" and ctx.protocol_version in _VERSIONS:
        notifications = (ctx.params or {}).get("notifications")
        if isinstance(notifications, Mapping) and notifications.get("taskIds"):
            require_client_extension(ctx, TASKS)
    return await call_next(ctx)


def accepts_tasks(ctx: _Context) -> bool:
    """Whether the result of this request may be a task."""
    capability = ClientCapabilities(extensions={TASKS: {}})
    return ctx.protocol_version in _VERSIONS and ctx.session.check_client_capability(capability)


async def _find(ctx: _Context, task_id: str) -> CallRecord | ListTask:
    """The call or list of a task of this account, for a client that declares the extension."""
    require_client_extension(ctx, TASKS)
    _check_name_header(ctx, task_id)
    try:
        if (task := await find_list_task(ctx.lifespan_context, task_id)) is not None:
            return task
        record = await ctx.lifespan_context.calls.find(task_id)
    except KallyAIError as error:
        raise await _failure(error, ctx.lifespan_context) from error
    if record is None or record.tracking_id != task_id:  # `find` takes a call_id too, which is not a task's id
        raise MCPError(INVALID_PARAMS, "Task not found")
    return record


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Check over HTTP that `Mcp-Name` names the same task as the body (SEP-2663, SEP-2243).

    Raises:
        MCPError: -32020: it names another one.
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )


async def _failure(error: KallyAIError, app_context: AppContext) -> MCPError:
    return MCPError(INTERNAL_ERROR, error_text(error, places_calls=False, spanish=await reads_spanish(app_context)))


async def _result(app_context: AppContext, record: CallRecord, *, spanish: bool, with_links: bool) -> CallToolResult:
    """The result that make_call would have returned, had it waited for the end of `record`."""
    try:
        return await to_result(app_context, record, spanish=spanish, is_new=True, with_links=with_links)
    except KallyAIError as error:
        return await tool_error(error, app_context, tool="make_call", places_calls=True, spanish=spanish)
