"""Names that the places in time zones have in Spanish, where they differ; a test compares them with CLDR's.

The tools and the cards use them; this module imports nothing of the package.
"""

import json
from functools import cache
from importlib.resources import files


@cache
def places(*, called: bool = False) -> dict[str, str]:
    """The Spanish names by the English ones, everywhere: the reader may be anywhere.

    With `called`, only those in North America and Europe, where KallyAI calls people.
    """
    names: dict[str, dict[str, str]] = json.loads((files("kallyai_mcp") / "places_es.json").read_text(encoding="utf-8"))
    return names["called"] if called else names["called"] | names["others"]
