"""Which scenarios run with which server, and which checks are expected to fail there, with the reason."""

from dataclasses import dataclass

from tests.conformance.suite import EXTENSION, Place, Server

SPECS = {"released": ("2025-06-18", "2025-11-25"), "newest": ("2025-06-18", "2025-11-25", "2026-07-28")}
"""The versions of the specification that each release of the suite runs at."""

KALLYAI_SCENARIOS = frozenset(
    {
        "caching",
        "dns-rebinding-protection",
        "http-header-validation",
        "logging-set-level",
        "ping",
        "prompts-list",
        "resources-list",
        "sep-2164-resource-not-found",
        "server-initialize",
        "server-session-lifecycle",
        "server-sse-multiple-streams",
        "server-stateless",
        "tools-list",
    }
)
"""The scenarios that need no fixture, or report which of their checks do. The others test the SDK with fixtures."""

TASKS = (
    "tasks-capability-negotiation",
    "tasks-dispatch-and-envelope",
    "tasks-lifecycle",
    "tasks-request-headers",
    "tasks-request-state-removal",
    "tasks-wire-fields",
)
"""The scenarios of extensions in which a phone call can replace the fixture.

Not run: tasks-mrtr-input, tasks-mrtr-composition and tasks-required-task-error, because kallyai-mcp has no tasks that
ask for input and no tools that require tasks; and tasks-status-notifications, which the suite skips.
"""

SKILLS = ("sep-2640-skills-enumeration", "sep-2640-skills-manifest")
"""The scenarios of skills, which run with `kallyai-mcp serve`.

Not run: sep-2640-skills-directory, because kallyai-mcp does not declare `directoryRead`, which is optional.
"""

_ONLY_CALLS = (
    "It calls failing_job or protocol_error_job, which no phone call can replace: a call that is refused is refused at "
    "once, without a task."
)


@dataclass(frozen=True)
class Expected:
    """Checks of a scenario, by id, that are expected to fail at these versions, with the reason as a sentence."""

    server: Server
    scenario: str
    checks: tuple[str, ...]
    specs: tuple[str, ...]
    reason: str


EXPECTED = (
    Expected(
        "kallyai-mcp",
        "logging-set-level",
        ("logging-set-level",),
        ("2025-06-18", "2025-11-25"),
        "The server sends no log to clients and does not declare `logging`, which the scenario ignores.",
    ),
    Expected(
        "kallyai-mcp",
        "server-stateless",
        ("sep-2575-server-rejects-undeclared-capability", "sep-2575-missing-capability-http-400"),
        ("2026-07-28",),
        "It calls a fixture tool that kallyai-mcp does not have.",
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
        "It compares the text of the fixture tool greet; check_quota, which replaces it, has another text.",
    ),
)
"""Every check that is expected to fail."""


EXPECTED_AT = {Place(entry.server, spec, entry.scenario): entry.checks for entry in EXPECTED for spec in entry.specs}
"""The same checks by their place."""
