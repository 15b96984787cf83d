"""What is run against which server, and which checks fail there for a good reason."""

from tests.conformance.judging import Expected
from tests.conformance.suite import EXTENSION

SPECS = {"released": ("2025-06-18", "2025-11-25"), "newest": ("2025-06-18", "2025-11-25", "2026-07-28")}
"""The versions of the specification that each release of the suite is run at."""

HANDSHAKE = ("2025-06-18", "2025-11-25")
STATELESS = ("2026-07-28",)

TELEPHONE = frozenset(
    {
        "caching",
        "completion-complete",
        "dns-rebinding-protection",
        "http-header-validation",
        "logging-set-level",
        "ping",
        "prompts-list",
        "resources-list",
        "resources-subscribe",
        "resources-unsubscribe",
        "sep-2164-resource-not-found",
        "server-initialize",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "server-stateless",
        "tools-list",
    }
)
"""The scenarios that need no fixture, or say by themselves which of their checks do: run against `kallyai-mcp serve`.

The fixture server has the others and most of these as well: only what subscribes is the telephone's alone, because the
HTTP layer has no part in it.
"""

TELEPHONE_ALONE = frozenset({"resources-subscribe", "resources-unsubscribe"})

TASKS = (
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-wire-fields",
)
"""Of the extensions' scenarios, those whose fixtures a phone call can stand in for.

Not run: tasks-mrtr-input, tasks-mrtr-composition and tasks-required-task-error, about tasks that ask for something and
tools that refuse whoever has no tasks, of which the telephone has none; tasks-status-notifications, which the suite
itself skips; and the three of skills, which are for servers that declare skills.
"""

_NO_SESSION = (
    "/mcp keeps no session at the versions with a handshake, so that any worker can take any request: "
    "the server can't ask such a client anything, and says so. Over stdio and /sse it can."
)
_ONLY_CALLS = (
    "It calls failing_job or protocol_error_job, which no phone call can stand in for: what the telephone refuses, it "
    "refuses at once, and no task comes of it."
)
_NOT_HERE = "It calls a fixture tool that the telephone doesn't have; the fixture server passes it."

EXPECTED = (
    Expected("fixture", "tools-call-sampling", ("tools-call-sampling",), HANDSHAKE, _NO_SESSION),
    Expected("fixture", "tools-call-elicitation", ("tools-call-elicitation",), HANDSHAKE, _NO_SESSION),
    Expected("fixture", "elicitation-sep1034-defaults", ("elicitation-sep1034-general",), ("2025-11-25",), _NO_SESSION),
    Expected("fixture", "elicitation-sep1330-enums", ("elicitation-sep1330-general",), ("2025-11-25",), _NO_SESSION),
    Expected(
        "telephone",
        "resources-subscribe",
        ("resources-subscribe",),
        HANDSHAKE,
        "Without a session there is nowhere to send the news, so `subscribe` is declared false, and the scenario asks "
        "without looking. Over stdio, over /sse, and at 2026-07-28 it works.",
    ),
    Expected(
        "telephone",
        "resources-unsubscribe",
        ("resources-unsubscribe",),
        HANDSHAKE,
        "It begins with the subscription that is refused.",
    ),
    Expected(
        "telephone",
        "logging-set-level",
        ("logging-set-level",),
        HANDSHAKE,
        "The telephone sends no log to clients and doesn't declare `logging`; the scenario asks without looking.",
    ),
    Expected(
        "telephone",
        "server-stateless",
        ("sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"),
        STATELESS,
        _NOT_HERE,
    ),
    Expected(
        "tasks",
        "tasks-lifecycle",
        ("sep-2663-tool-error-uses-completed-status", "sep-2663-tasks-get-status-failed"),
        (EXTENSION,),
        _ONLY_CALLS,
    ),
    Expected(
        "tasks",
        "tasks-dispatch-and-envelope",
        ("tasks-server-directed-creation-no-hint",),
        (EXTENSION,),
        _ONLY_CALLS,
    ),
    Expected(
        "tasks",
        "tasks-request-headers",
        ("tasks-headers-tolerate-mcp-method-on-tools-call",),
        (EXTENSION,),
        "It compares the words of the fixture tool greet; check_quota, which stands in for it, has its own.",
    ),
)
"""Every check that may fail."""
