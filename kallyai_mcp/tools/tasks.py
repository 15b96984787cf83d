"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that declares it.

A task is another view of a call record or a list, and its id is the `tracking_id`. Nothing else is stored, so a task
survives a restart, and any process with the same ledger can answer requests about it, but only for its account.

A completed task must stay completed ("Task Status Lifecycle"). So the task of a list covers it until a decision is
needed: if it goes on then, get_call follows it. Only a list that goes on after a limit or the sign-in has stopped it is
the same task again.

Few clients use tasks, and building the pydantic models takes time at every start. So they are built when first used.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, Literal

from mcp import MCPError
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
    EmptyResult,
    RequestParams,
    Result,
    TextContent,
)
from mcp.types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.call_lists import CallList, StopReason
from kallyai_mcp.calls.records import CallRecord, CallState
from kallyai_mcp.tools.call_view import CallView
from kallyai_mcp.tools.calls import TASKS, accepts_tasks, result_of
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.past_calls import cancel
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.calls import call_text
from kallyai_mcp.tools.text.errors import error_text

POLL_INTERVAL = timedelta(seconds=5)
"""How long a client should wait between two requests for a task; a phone call takes 1 to 3 minutes."""

Status = Literal["working", "completed", "cancelled"]

_Context = ServerRequestContext[AppContext, Any]


class TaskParams(RequestParams, defer_build=True):
    """The parameters of tasks/get, tasks/update, and tasks/cancel; `inputResponses` are ignored."""

    task_id: str


class Task(Result, defer_build=True):
    """The specification's CreateTaskResult (`result_type` "task") and GetTaskResult ("complete").

    `created_at` and `last_updated_at` are sent as ISO 8601; `ttl_ms` and `poll_interval_ms` are in milliseconds. While
    a call is in progress, `status_message` says how long it has lasted, so `last_updated_at` is the time of the answer.
    """

    result_type: Literal["task", "complete"] = "complete"
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
        result, found = await call_next(ctx), None
        if params.name not in ("make_call", "call_around") or not accepts_tasks(ctx):
            return result
        if not isinstance(result, CallToolResult) or result.structured_content is None:
            return result
        id_ = result.structured_content.get("tracking_id", "")
        if result.structured_content["status"] in ("in_progress", "scheduled"):
            with suppress(KallyAIError):  # the ledger can't be read now; get_call follows the call
                found = await _find(ctx.lifespan_context, id_)
        if found is None or _goes_on_again(found):
            return result
        text = next(block.text for block in result.content if isinstance(block, TextContent))
        return self._task(ctx, id_, found, "working", result_type="task", status_message=_first_line(text))

    async def _get(self, ctx: _Context, params: TaskParams) -> Task:
        app_context, found = ctx.lifespan_context, await _asked_for(ctx, params)
        status = _status_of(found)
        if status == "completed":
            answer = await result_of(app_context, found, placed_now=True)
            result = answer.model_dump(by_alias=True, mode="json", exclude_none=True)
            return self._task(ctx, params.task_id, found, status, result=result)
        if isinstance(found, CallList):
            text = call_list(found, app_context.reader(), ())
        else:
            text = call_text(CallView.of_record(found), app_context.reader())
        return self._task(ctx, params.task_id, found, status, status_message=_first_line(text))

    async def _update(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        await _asked_for(ctx, params)
        return EmptyResult()

    async def _cancel(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        if _status_of(await _asked_for(ctx, params)) == "working":
            with _protocol_errors():
                await cancel(ctx.lifespan_context, params.task_id)
        return EmptyResult()

    def _task(self, ctx: _Context, id_: str, found: CallRecord | CallList, status: Status, **more: Any) -> Task:
        now = ctx.lifespan_context.now()
        return Task(
            task_id=id_,
            status=status,
            created_at=found.placed_at if isinstance(found, CallRecord) else found.asked_at,
            last_updated_at=now if status == "working" else found.ended_at or now,
            ttl_ms=self._ttl_ms,
            **more,
        )


async def _asked_for(ctx: _Context, params: TaskParams) -> CallRecord | CallList:
    """The call or list of a task, if the account has it and the client declares the extension."""
    require_client_extension(ctx, TASKS)
    _check_name_header(ctx, params.task_id)
    with _protocol_errors():
        found = await _find(ctx.lifespan_context, params.task_id)
    if found is None:
        raise MCPError(INVALID_PARAMS, "Task not found")
    return found


@contextmanager
def _protocol_errors() -> Iterator[None]:
    """In this context, a `KallyAIError` is raised as an error of the protocol (`MCPError`, -32603)."""
    try:
        yield
    except KallyAIError as error:
        raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Check over HTTP that the header `Mcp-Name` names the same task as the body (SEP-2663, SEP-2243)."""
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )


async def _find(app_context: AppContext, tracking_id: str) -> CallRecord | CallList | None:
    return await app_context.calls.find_list(tracking_id) or await app_context.calls.find(tracking_id)


def _goes_on_again(found: CallRecord | CallList) -> bool:
    """Whether a list goes on after the user has decided so."""
    return isinstance(found, CallList) and found.passed > 0


def _status_of(found: CallRecord | CallList) -> Status:
    """The status of the task of a call or list.

    A list that was canceled after a call may have reached somebody is `completed`, so that the client gets the result.
    """
    if found.is_open and not _goes_on_again(found):
        return "working"
    if isinstance(found, CallRecord):
        is_canceled = found.state is CallState.CANCELED
    else:
        is_canceled = found.stop_reason is StopReason.CANCELED and not found.may_have_reached
    return "cancelled" if is_canceled else "completed"


def _first_line(text: str) -> str:
    """What a text says first; what follows names the tools for the next step."""
    return text.partition("\n")[0]
