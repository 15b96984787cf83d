"""Completes the id of a call, or a number that has opted out, when TAB is pressed."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
import click
from click.shell_completion import CompletionItem

from kallyai_mcp.setting_values import SettingsError
from kallyai_mcp.settings import Settings

if TYPE_CHECKING:
    from kallyai_mcp.tools.context import AppContext

_SECONDS = 3.0
"""How long a shell waits for ids."""

_COUNT = 50


def complete_id(
    context: click.Context,
    _: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """The ids of the newest calls that begin with `incomplete`; none if they can't be read."""
    return _completed(context, incomplete, _ids)


def complete_number(
    context: click.Context,
    _: click.Parameter,
    incomplete: str,
) -> list[CompletionItem]:
    """The numbers that have opted out and begin with `incomplete`; none if they can't be read."""
    return _completed(context, incomplete, _numbers)


def _completed(
    context: click.Context,
    incomplete: str,
    items_for: Callable[["AppContext", str], Awaitable[list[CompletionItem]]],
) -> list[CompletionItem]:
    try:
        settings = Settings.from_env()
    except SettingsError:
        return []
    if context.meta.get("sandbox"):
        settings = replace(settings, sandbox=True)
    found: list[CompletionItem] = []
    from kallyai_mcp.cli.output import run

    async def read() -> None:
        with anyio.move_on_after(_SECONDS):
            found.extend(await _items(settings, incomplete, items_for))

    with suppress(click.ClickException):
        run(read)
    return found


async def _items(
    settings: Settings,
    incomplete: str,
    items_for: Callable[["AppContext", str], Awaitable[list[CompletionItem]]],
) -> list[CompletionItem]:
    # Late: this is imported with the commands, and needed only for TAB.
    from kallyai_mcp.cli.app_context import open_app_context
    from kallyai_mcp.cli.connection import Connection

    async with open_app_context(Connection(settings)) as app_context:
        return await items_for(app_context, incomplete)


async def _numbers(app_context: "AppContext", incomplete: str) -> list[CompletionItem]:
    found = await app_context.calls.opt_outs()
    numbers = [one.number for one in found if one.number.startswith(incomplete)]
    return [CompletionItem(number) for number in numbers]


async def _ids(app_context: "AppContext", incomplete: str) -> list[CompletionItem]:
    from kallyai_mcp.cli.short_id import short_id
    from kallyai_mcp.tools.call_page import list_page
    from kallyai_mcp.tools.text.calls import state_in_words
    from kallyai_mcp.tools.text.plain import one_line

    items = []
    page = await list_page(app_context, limit=_COUNT, offset=0)
    for view in page.views:
        asked = view.submission
        who = one_line(asked.business_name or asked.respondent_phone or "", 40)
        id_ = one_line(view.id)
        if id_.startswith(incomplete):
            shown = max(short_id(id_), incomplete, key=len)
            items.append(CompletionItem(shown, help=f"{who}, {state_in_words(view)}"))
    return items
