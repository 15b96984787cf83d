"""The Tasks extension (SEP-2663): make_call and call_around return a task at once to a client that
declares it.

A task is another view of a call record or a list, and its id is the `tracking_id`. Nothing else is
stored, so a task survives a restart, and any process with the same ledger can answer requests about
it, but only for its account.

A completed task must stay completed ("Task Status Lifecycle"). So the task of a list covers it
until a decision is needed: if it goes on then, get_call follows it. Only a list that goes on after
a limit or the sign-in has stopped it is the same task again.

Few clients use tasks, and building the pydantic models takes time at every start. So they are built
when first used.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal

from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.extension import Extension, MethodBinding, RequestHandler
from mcp.server.mcpserver import require_client_extension
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp.types import (
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
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
from kallyai_mcp.tools.context import AppContext
from kallyai_mcp.tools.facets.call import CallView
from kallyai_mcp.tools.lookup import find_in_ledger
from kallyai_mcp.tools.telling import cancel, result_of
from kallyai_mcp.tools.text.call_lists import call_list
from kallyai_mcp.tools.text.calls import asked_before, call_text
from kallyai_mcp.tools.text.errors import error_text
from kallyai_mcp.tools.text.progress import progress_message

TASKS = "io.modelcontextprotocol/tasks"
"""The identifier of the extension."""

Status = Literal["working", "completed", "cancelled"]

_Context = ServerRequestContext[AppContext, Any]


class TaskParams(RequestParams, defer_build=True):
    """The parameters of tasks/get, tasks/update, and tasks/cancel; `inputResponses` are ignored."""

    task_id: str


class Task(Result, defer_build=True):
    """The specification's CreateTaskResult (`result_type` "task") and GetTaskResult ("complete").

    `created_at` and `last_updated_at` are sent as ISO 8601. While a call is in progress,
    `status_message` says how far it is, so `last_updated_at` is the time of the answer. A
    phone call takes 1 to 3 minutes, so a client should wait for the milliseconds of
    `poll_interval_ms` between two requests.
    """

    result_type: Literal["task", "complete"] = "complete"
    task_id: str
    status: Status
    status_message: str | None = None
    created_at: AwareDatetime
    last_updated_at: AwareDatetime
    ttl_ms: int
    poll_interval_ms: int = 5_000
    result: dict[str, Any] | None = None


class CallTasks(Extension):
    """The requests about phone calls as tasks, for clients that declare the extension."""

    identifier = TASKS

    def methods(self) -> Sequence[MethodBinding]:
        """tasks/get; tasks/update, which changes nothing; and tasks/cancel, which does the same as
        cancel_call.

        They raise `MCPError`. -32021: the client doesn't declare the extension. -32020: `Mcp-Name`
        names another task. -32602: the account has no such task. -32603: the ledger or the account
        can't be read, for example because nobody is signed in.
        """
        answers = {"tasks/get": _get, "tasks/update": _update, "tasks/cancel": _cancel}
        versions = frozenset(MODERN_PROTOCOL_VERSIONS)
        return [
            MethodBinding(method, TaskParams, _handler(answer), versions)
            for method, answer in answers.items()
        ]


def accepts_tasks(request: _Context) -> bool:
    """Whether the result of this request may be a task; a client of an earlier version gets none,
    whatever it says.
    """
    capability = ClientCapabilities(extensions={TASKS: {}})
    is_modern = request.protocol_version in MODERN_PROTOCOL_VERSIONS
    return is_modern and request.session.check_client_capability(capability)


def task_of(
    app_context: AppContext,
    found: CallRecord | CallList,
    *,
    is_new: bool = False,
    is_duplicate: bool = False,
    result: dict[str, Any] | None = None,
) -> Task:
    """The task of a call or list: a new one, for a request that may be a duplicate, or with its
    `result`.
    """
    task = Task(
        task_id=_id_of(found),
        status=status_of(found),
        created_at=found.asked_at,
        last_updated_at=app_context.now(),
        ttl_ms=timedelta(days=app_context.calls.timing.keep_days) // timedelta(milliseconds=1),
        result=result,
    )
    if is_new:
        task.result_type = "task"
    if result is None:
        message = _status_message(app_context, found)
        task.status_message = asked_before(message, is_duplicate=is_duplicate)
    if task.status != "working" and found.ended_at is not None:
        task.last_updated_at = found.ended_at
    return task


def _status_message(app_context: AppContext, found: CallRecord | CallList) -> str:
    """How far a call or list is, in the words of progress messages; or why it has stopped."""
    reader = app_context.reader()
    has_stopped = isinstance(found, CallList) and found.stop_reason is not None
    if found.is_open and not has_stopped:
        return progress_message(found, reader.now)
    if isinstance(found, CallList):
        text = call_list(found, reader, ())
    else:
        text = call_text(CallView.of_record(found), reader)
    return text.partition("\n")[0]  # what follows is for the agent


def _id_of(found: CallRecord | CallList) -> str:
    return found.list_id if isinstance(found, CallList) else found.tracking_id


async def _get(app_context: AppContext, found: CallRecord | CallList) -> Task:
    if status_of(found) != "completed":
        return task_of(app_context, found)
    answer = await result_of(app_context, found, placed_now=True)
    return task_of(
        app_context, found, result=answer.model_dump(by_alias=True, mode="json", exclude_none=True)
    )


# A phone call takes no more input, so an update changes nothing; the specification has the method.
async def _update(_: AppContext, __: CallRecord | CallList) -> EmptyResult:
    return EmptyResult()


async def _cancel(app_context: AppContext, found: CallRecord | CallList) -> EmptyResult:
    if status_of(found) == "working":
        await cancel(app_context, _id_of(found))
    return EmptyResult()


def _handler(
    answer: Callable[[AppContext, CallRecord | CallList], Awaitable[Result]],
) -> RequestHandler:
    """The handler of a method: what it has to `answer` about the call or the list of a task."""

    async def handle(ctx: _Context, params: TaskParams) -> Result:
        require_client_extension(ctx, TASKS)
        _check_name_header(ctx, params.task_id)
        app_context = ctx.lifespan_context
        try:
            found = await find_in_ledger(app_context, params.task_id)
            if found is not None:
                return await answer(app_context, found)
        except KallyAIError as error:
            raise MCPError(INTERNAL_ERROR, error_text(error, places_calls=False)) from error
        raise MCPError(INVALID_PARAMS, "Task not found")

    return handle


def _check_name_header(ctx: _Context, task_id: str) -> None:
    """Check over HTTP that the header `Mcp-Name` names the same task as the body (SEP-2663,
    SEP-2243).
    """
    headers: Mapping[str, str] = getattr(ctx.request, "headers", None) or {}
    name = headers.get(MCP_NAME_HEADER)
    if name is not None and decode_header_value(name) != task_id:
        raise MCPError(
            HEADER_MISMATCH,
            f"{MCP_NAME_HEADER} header does not match the request body's 'taskId' parameter",
        )


def status_of(found: CallRecord | CallList) -> Status:
    """The status of the task of a call or list.

    A list that goes on after the user has decided so is `completed`, as it was before. So is one
    that was canceled after a call may have reached somebody, so that the client gets the result.
    """
    goes_on_again = isinstance(found, CallList) and found.passed > 0
    if found.is_open and not goes_on_again:
        return "working"
    return "cancelled" if _reached_nobody_before_cancel(found) else "completed"


def _reached_nobody_before_cancel(found: CallRecord | CallList) -> bool:
    """Whether it was canceled, and none of its calls can have reached somebody."""
    if isinstance(found, CallRecord):
        return found.state is CallState.CANCELED
    if found.stop_reason is not StopReason.CANCELED:
        return False
    return not any(map(_may_have_reached, found.records))


def _may_have_reached(record: CallRecord) -> bool:
    return record.is_active or record.state is CallState.UNKNOWN or bool(record.reached)
