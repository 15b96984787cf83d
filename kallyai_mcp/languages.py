"""The languages that this program writes; this module imports nothing of the package."""

from typing import Literal

Language = Literal["en", "es"]


def preferred(accepted: str) -> Language | None:
    """The language that an Accept-Language header prefers (RFC 9110, section 12.5.4); None if it names neither.

    Args:
        accepted: The header, or a single language tag, such as `es-MX`.
    """
    weights = {"en": 0.0, "es": 0.0}
    for part in accepted.lower().split(","):
        tag, _, weight = part.partition(";")
        name = tag.strip().replace("_", "-").partition("-")[0]
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in weights:
            weights[name] = max(weights[name], quality)
    if weights["es"] > weights["en"]:
        return "es"
    return "en" if weights["en"] else None
