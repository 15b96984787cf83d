"""Which scenarios run with which server, and which checks are expected to fail there, with the
reason.
"""

from tests.conformance.suite import EXTENSION, Place

SPECS = ("2025-06-18", "2025-11-25", "2026-07-28")

KALLYAI_SCENARIOS = frozenset(
    {
        *(
            "caching",
            "dns-rebinding-protection",
            "http-header-validation",
            "logging-set-level",
            "ping",
        ),
        *("prompts-list", "resources-list", "sep-2164-resource-not-found", "server-initialize"),
        *(
            "server-session-lifecycle",
            "server-sse-multiple-streams",
            "server-stateless",
            "tools-list",
        ),
    }
)
"""The scenarios that need no fixture, or report which of their checks do.

The others test the SDK with fixtures.
"""

TASKS = (
    *(
        "tasks-capability-negotiation",
        "tasks-dispatch-and-envelope",
        "tasks-lifecycle",
        "tasks-request-headers",
    ),
    *("tasks-request-state-removal", "tasks-wire-fields"),
)
"""The scenarios of extensions in which a phone call can replace the fixture.

Not run: tasks-mrtr-input, tasks-mrtr-composition and tasks-required-task-error, because kallyai-mcp
has no tasks that ask for input and no tools that require tasks; and tasks-status-notifications,
which the suite skips.
"""

SKILLS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest")
"""The scenarios of skills, which run with `kallyai-mcp serve`.

Not run: sep-2640-skills-directory, because kallyai-mcp does not declare `directoryRead`, which is
optional.
"""

_NO_LOG = (
    "The server sends no log to clients and does not declare `logging`, which the scenario ignores."
)
_FIXTURE = "It calls a fixture tool that kallyai-mcp does not have."
_ONLY_CALLS = (
    "It calls failing_job or protocol_error_job, which no phone call can replace: a call that is "
    "refused is refused at "
    "once, without a task."
)
_GREET = (
    "It compares the text of the fixture tool greet; check_quota, which replaces it, has "
    "another text."
)

EXPECTED: dict[Place, dict[str, str]] = {
    Place("kallyai-mcp", "logging-set-level", "2025-06-18"): {"logging-set-level": _NO_LOG},
    Place("kallyai-mcp", "logging-set-level", "2025-11-25"): {"logging-set-level": _NO_LOG},
    Place("kallyai-mcp", "server-stateless", "2026-07-28"): {
        "sep-2575-server-rejects-undeclared-capability": _FIXTURE,
        "sep-2575-missing-capability-http-400": _FIXTURE,
    },
    Place("tasks", "tasks-lifecycle", EXTENSION): {
        "sep-2663-tool-error-uses-completed-status": _ONLY_CALLS,
        "sep-2663-tasks-get-status-failed": _ONLY_CALLS,
    },
    Place("tasks", "tasks-dispatch-and-envelope", EXTENSION): {
        "tasks-server-directed-creation-no-hint": _ONLY_CALLS
    },
    Place("tasks", "tasks-request-headers", EXTENSION): {
        "tasks-headers-tolerate-mcp-method-on-tools-call": _GREET
    },
}
"""The checks that are expected to fail, each with the reason."""
