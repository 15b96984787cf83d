"""The Tasks extension (SEP-2663): a client that declares it gets a task from make_call at once, and polls for its end.

A task is a record of the ledger under another name, and nothing is kept beside it: its id is the `tracking_id`, so it
survives a restart, can be asked for in any process on the same ledger, and is seen only by the account that made it.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
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
    ClientCapabilities,
    EmptyResult,
    RequestParams,
    Result,
    TextContent,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import AwareDatetime, ConfigDict, TypeAdapter, ValidationError
from typing_extensions import override

from kallyai_mcp.api.errors import KallyAIError
from kallyai_mcp.calls.records import CallRecord
from kallyai_mcp.tools.argument_types import WaitSeconds
from kallyai_mcp.tools.arguments import without_blanks
from kallyai_mcp.tools.call_tool import tool_error_text
from kallyai_mcp.tools.calls import to_result
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.results import CallAnswer
from kallyai_mcp.tools.text.calls import Party, record_party
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.plain import duration, one_line

TASKS = "io.modelcontextprotocol/tasks"
"""The extension's identifier."""

POLL_INTERVAL = timedelta(seconds=5)
"""How often a client should ask: a phone call takes 1 to 3 minutes."""

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)
"""Handshakes know no task: what isn't of their vocabulary can't be delivered there, whatever the client declares."""

_NO_HANGING_UP = "A phone call can't be hung up from here: tasks/cancel leaves it as it is, and it goes on to its end."

_Context = ServerRequestContext[AppContext, Any]
_WHEN_USED = ConfigDict(defer_build=True)
"""Few clients have tasks, and every start would pay for building what only they need."""

_wait_seconds: TypeAdapter[float] = TypeAdapter(WaitSeconds, config=_WHEN_USED)


class TaskParams(RequestParams):
    """The parameters of tasks/get, tasks/update and tasks/cancel; `inputResponses` are not looked at."""

    model_config = _WHEN_USED

    task_id: str


class Task(Result):
    """The specification's CreateTaskResult (`result_type` "task") and GetTaskResult ("complete").

    `created_at` and `last_updated_at` are ISO 8601 on the wire, `ttl_ms` and `poll_interval_ms` in milliseconds. While
    a call is under way its message tells how long it has been, so that its last update is the moment of the answer.
    """

    model_config = _WHEN_USED

    result_type: Literal["task", "complete"]
    task_id: str
    status: Literal["working", "completed"]
    status_message: str | None = None
    created_at: AwareDatetime
    last_updated_at: AwareDatetime
    ttl_ms: int
    poll_interval_ms: int = POLL_INTERVAL // timedelta(milliseconds=1)
    result: dict[str, Any] | None = None


class CallTasks(Extension):
    """Phone calls as tasks, for clients that declare the extension; for others nothing changes.

    Args:
        keep_days: For how long the ledger keeps a call, in days; a client is told so as the task's time to live.
    """

    identifier = TASKS

    def __init__(self, *, keep_days: float) -> None:
        self._ttl_ms = timedelta(days=keep_days) // timedelta(milliseconds=1)

    @override
    def methods(self) -> Sequence[MethodBinding]:
        """tasks/get, and tasks/update and tasks/cancel, which acknowledge and change nothing.

        They raise `MCPError`: -32021 to a client that doesn't declare the extension, -32602 for a task that this
        account doesn't have, -32603 when it can't be told, as when nobody is signed in.
        """
        return [
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", TaskParams, self._acknowledge, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._acknowledge, _VERSIONS),
        ]

    @override
    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: _Context, call_next: CallNext
    ) -> HandlerResult:
        """Place a call as ever, without waiting for it; the answer is a `Task` if it is in progress.

        Whatever else make_call answers (wrong arguments, a refusal, a call that has ended) is answered as ever.
        """
        if params.name != "make_call" or not _is_declared(ctx):
            return await call_next(ctx)
        # The tool is called with these very params, whatever context is handed on.
        params.arguments = _without_waiting(params.arguments or {})
        return self._as_task(await call_next(ctx), ctx.lifespan_context.now())

    def _as_task(self, answer: HandlerResult, now: datetime) -> HandlerResult:
        """What make_call answered, as a task if its call is in progress.

        It is made of the answer alone: a second look into the ledger could fail, with the call placed already.
        """
        if not isinstance(answer, CallToolResult) or answer.is_error:
            return answer
        call = CallAnswer.model_validate(answer.structured_content)
        if call.status != "in_progress" or call.tracking_id is None or call.created_at is None:
            return answer
        party = Party(call.respondent_phone, one_line(call.business_name) if call.business_name else None)
        first = _in_progress(party, call.elapsed_seconds or 0)
        if call.placed_now is False:
            first = f"No new call was placed: this very call is in progress already. {first}"
        return self._working("task", call.tracking_id, call.created_at, now, first)

    async def _get(self, ctx: _Context, params: TaskParams) -> Task:
        record = await _found(ctx, params.task_id)
        app_context = ctx.lifespan_context
        if record.is_active:
            party, elapsed = record_party(record), record.elapsed(app_context.now())
            if record.response_lost_at is None:
                first = _in_progress(party, elapsed)
            else:
                first = f"The connection broke; whether {party} was called is looked up, {duration(elapsed)} so far."
            return self._working("complete", record.tracking_id, record.placed_at, app_context.now(), first)
        result = await _result(app_context, record)
        return Task(
            result_type="complete",
            task_id=record.tracking_id,
            status="completed",
            created_at=record.placed_at,
            last_updated_at=record.ended_at or app_context.now(),
            ttl_ms=self._ttl_ms,
            result=result.model_dump(by_alias=True, mode="json", exclude_none=True),
        )

    async def _acknowledge(self, ctx: _Context, params: TaskParams) -> EmptyResult:
        await _found(ctx, params.task_id)
        return EmptyResult()

    def _working(
        self, kind: Literal["task", "complete"], task_id: str, created_at: datetime, now: datetime, words: str
    ) -> Task:
        return Task(
            result_type=kind,
            task_id=task_id,
            status="working",
            status_message=f"{words} {_NO_HANGING_UP}",
            created_at=created_at,
            last_updated_at=now,
            ttl_ms=self._ttl_ms,
        )


async def listeners_declare_tasks(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware: whoever asks subscriptions/listen for news of tasks must declare the extension.

    To who does, the acknowledgement names no task, which says that no notification will come: tasks are polled.

    Raises:
        MCPError: -32021, the client asks for them and doesn't declare the extension.
    """
    if ctx.method == "subscriptions/listen" and ctx.protocol_version in _VERSIONS:
        notifications = (ctx.params or {}).get("notifications")
        if isinstance(notifications, Mapping) and notifications.get("taskIds"):
            require_client_extension(ctx, TASKS)
    return await call_next(ctx)


def _is_declared(ctx: _Context) -> bool:
    """Whether this request may be answered with a task."""
    capability = ClientCapabilities(extensions={TASKS: {}})
    return ctx.protocol_version in _VERSIONS and ctx.session.check_client_capability(capability)


def _without_waiting(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """make_call's `arguments`, to be answered at once; a wrong `wait_seconds` stays, for the tool to name it."""
    given = without_blanks(arguments)
    try:
        _wait_seconds.validate_python(given.get("wait_seconds", 0))
    except ValidationError:
        return given
    return given | {"wait_seconds": 0}


def _in_progress(party: Party, elapsed: float) -> str:
    return f"The call to {party} is in progress, {duration(elapsed)} so far."


async def _found(ctx: _Context, task_id: str) -> CallRecord:
    """The record behind a task of this account, for a client that declares the extension."""
    require_client_extension(ctx, TASKS)
    _check_name_header(ctx, task_id)
    try:
        record = await ctx.lifespan_context.calls.find(task_id)
    except KallyAIError as error:
        raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error
    if record is None or record.tracking_id != task_id:  # it is found by its call_id as well, which names no task
        raise MCPError(INVALID_PARAMS, "Task not found")
    return record


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Over HTTP, `Mcp-Name` must name the task that the body does (SEP-2663, SEP-2243).

    Raises:
        MCPError: -32020, it names another one.
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter"
        )


async def _result(app_context: AppContext, record: CallRecord) -> CallToolResult:
    """What make_call would have answered, had it waited for the end of `record`."""
    try:
        return await to_result(app_context, record, is_new=True, linked=True)
    except KallyAIError as error:
        text = await tool_error_text(error, app_context, tool="make_call", places_calls=True)
        return CallToolResult(content=[TextContent(type="text", text=text)], is_error=True)
