"""The Spanish names of the places in time zones' names, where they differ. A test compares them with CLDR's.

The tools and the cards use them. This module imports nothing of the package.
"""

import json
from functools import cache
from importlib.resources import files


@cache
def places(*, called: bool = False) -> dict[str, str]:
    """The Spanish names by the English ones, of the whole world, because the reader may be anywhere.

    With `called`, only those of North America and Europe, where KallyAI calls people.
    """
    names: dict[str, dict[str, str]] = json.loads((files("kallyai_mcp") / "places_es.json").read_text(encoding="utf-8"))
    return names["called"] if called else names["called"] | names["others"]
