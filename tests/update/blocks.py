"""The parts of pages that are derived: tables and lists between two comments, as in

<!-- derived: tools -->

| tool | does |

<!-- end -->
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kallyai_mcp.auth.oauth_server.scopes import scopes_needed
from kallyai_mcp.cli.clients import CLIENTS
from kallyai_mcp.tools.catalog import CallTool, tools
from tests.agent import BISTRO, open_agent, settings_in
from tests.docs.pages import DOCS, text_of
from tests.limits import LIMITS
from tests.sandbox.manual_clock import ManualClock
from tests.sandbox.sandbox_app import sandbox_app
from tests.update.manifests import summary
from tests.update.setting_lists import setting_tables

_MARKED = re.compile(r"<!-- derived: ([a-z ]+) -->\n.*?<!-- end -->", re.DOTALL)
_ABOUT = re.compile(r"^<!-- about: (.+) -->$", re.MULTILINE)

OTHER_REQUESTS = (
    "resources/read kallyai://calls/ID",
    "resources/read kallyai://calls/ID/transcript",
    "resources/read kallyai://calls/ID/calendar.ics",
    "subscriptions/listen",
    "tasks/get",
    "tasks/update",
    "tasks/cancel",
)
"""Requests that read an account or change it, besides the use of a tool."""


def filled(name: str, page: str, made: Mapping[str, str]) -> str:
    """`page` with its marked parts as they should be; raises `ValueError` for an unknown mark."""

    def block(found: re.Match[str]) -> str:
        if found[1] not in made:
            known = ", ".join(made)
            raise ValueError(
                f"{name}: nothing makes the part `{found[1]}`. Known are {known}; "
                "add another one to `blocks` in tests/update/blocks.py"
            )
        return f"<!-- derived: {found[1]} -->\n\n{made[found[1]]}\n\n<!-- end -->"

    return _MARKED.sub(block, page)


async def blocks() -> dict[str, str]:
    """Each derived part of a page, by its name in the comment before it."""
    booking = await _booking()
    return {
        "tools": _table(["tool", "does"], [(f"`{each.name}`", summary(each)) for each in tools()]),
        "scopes": _scopes(),
        "clients": f"The names are {_and([f'`{name}`' for name in CLIENTS])}.",
        "booking": f"```text\n{booking}\n```",
        "call card": _call_card(booking),
        "pages": _pages(),
        "settings": _settings(),
        "alerts": _table(["alert", "if", "what to do"], _alerts()),
        "limits": _table(
            ["limit", "most", "beyond it", "who may raise it"],
            [
                (f"`{one.name}`", f"{one.most:,} {one.of}", one.instead, one.raised_by)
                for one in LIMITS
            ],
        ),
    }


def _alerts() -> list[tuple[str, str, str]]:
    """The panels of the dashboard that have a threshold: name, condition, and what to do."""
    rows = []
    for panel in json.loads(text_of("docs/grafana.json"))["panels"]:
        if "description" in panel:
            above = panel["fieldConfig"]["defaults"]["thresholds"]["steps"][-1]["value"]
            condition = f"{panel['targets'][0]['expr']} > {above}"
            if "|" in condition:
                raise ValueError(f"{panel['title']}: a table can't show the `|` of {condition}")
            rows.append((panel["title"], f"`{condition}`", panel["description"]))
    return rows


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    title, *lines = (f"| {' | '.join(line)} |" for line in (titles, *rows))
    return "\n".join([title, f"|{'---|' * len(titles)}", *lines])


def _and(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])}, and {words[-1]}" if len(words) > 1 else "".join(words)


def _scopes() -> str:
    """The requests that need a scope, those with the same ones in one row."""
    rows: dict[str, list[str]] = {}
    for request in OTHER_REQUESTS:
        method, _, uri = request.partition(" ")
        found = scopes_needed({"method": method, "params": {"uri": uri}}, {})
        rows.setdefault(_spaced(found), []).append(f"`{request}`")
    for tool in tools():
        if tool.scopes:
            rows.setdefault(_scopes_of_tool(tool), []).append(f"`tools/call {tool.name}`")
    return _table(["requests", "scopes"], [(", ".join(rows[scopes]), scopes) for scopes in rows])


def _scopes_of_tool(tool: CallTool) -> str:
    """The scopes that a tool needs, and the further ones with `billing_link`."""
    of_tools = {each.name: each.scopes for each in tools()}
    params: dict[str, Any] = {"name": tool.name}
    use = {"method": "tools/call", "params": params}
    plain = scopes_needed(use, of_tools)
    params["arguments"] = {"billing_link": True}
    more = set(scopes_needed(use, of_tools)) - set(plain)
    if more and "billing_link" in tool.parameters["properties"]:
        return f"{_spaced(plain)}; with `billing_link`, {_spaced(more)} too"
    return _spaced(plain)


def _spaced(scopes: Iterable[str]) -> str:
    """Scopes as a token has them (RFC 6749, section 3.3)."""
    return f"`{' '.join(sorted(scopes))}`"


async def _booking() -> str:
    """What an agent reads after the booking that the README shows."""
    clock = ManualClock(datetime(2026, 1, 25, 15, 30, tzinfo=UTC))
    local = {name: value for name, value in BISTRO.items() if name != "timezone"}
    with TemporaryDirectory() as home, sandbox_app(clock=clock) as app:
        settings = settings_in(Path(home))
        async with open_agent(settings, mode="auto", clock=clock, app=app) as agent:
            answer = await agent.use("make_call", local, user_name="Ada")
    return answer.text.replace(str(answer.data["call_id"]), "3f0c…")


def _call_card(booking: str) -> str:
    """The picture of the card, which shows the same call."""
    said = re.sub(r" \(\+[^)]*\)", "", booking.splitlines()[0]).removesuffix(".")
    alternative = (
        f"The call card in a client, with buttons for the calendar and the conversation. {said}."
    )
    folder = ".github/pictures/call"
    dark = f'<source media="(prefers-color-scheme: dark)" srcset="{folder}-dark.png">'
    light = f'<img src="{folder}-light.png" width="540" alt="{alternative}">'
    return f"<picture>{dark}{light}</picture>"


def _settings() -> str:
    titles = ["variable", "default", "meaning"]
    return "\n\n".join(f"## {group}\n\n{_table(titles, rows)}" for group, rows in setting_tables())


def _pages() -> str:
    """The pages in `docs/`, in the order of the README, each with what its comment says."""
    linked = re.findall(
        r"\(docs/([a-z-]+)\.md\)", text_of("README.md").split("## Documentation")[1]
    )
    names = [*dict.fromkeys(linked), *sorted(page.stem for page in DOCS.glob("*.md"))]
    return "\n".join(
        f"- [{name}]({name}.md): {_about(f'docs/{name}.md')}" for name in dict.fromkeys(names)
    )


def _about(name: str) -> str:
    found = _ABOUT.search(text_of(name))
    if found is None:
        raise ValueError(f"{name}: write `<!-- about: WHAT IT SAYS -->` below its title")
    return found[1]
