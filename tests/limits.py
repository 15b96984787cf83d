"""Limits of what this project writes: how much, why, what to do beyond it, and who may raise it.

`.github/CONTRIBUTING.md` shows them.
"""

from dataclasses import dataclass

AUTHOR = "anybody, with the reason in the commit"
MAINTAINER = "a maintainer"


@dataclass(frozen=True)
class Limit:
    """The most of something. `why` and `instead` are parts of sentences."""

    name: str
    most: int
    of: str
    why: str
    instead: str
    raised_by: str = AUTHOR

    def check(self, found: float, where: str) -> None:
        """Fail if there is more of it at a place, with what to do."""
        assert found <= self.most, (
            f"{where} has {found:,.0f} {self.of}, and {self.most:,} are allowed, {self.why}. "
            f"{self.instead}. `{self.name}` in tests/limits.py may be raised by {self.raised_by}."
        )


README_WORDS = Limit(
    "README_WORDS",
    1_200,
    "words",
    "because a newcomer reads it whole",
    "Move what not every newcomer needs into a page in docs/",
)
MODULE_LINES = Limit(
    "MODULE_LINES",
    400,
    "lines",
    "because a module has one subject",
    "Move one subject out of it, into a module that has its name",
    MAINTAINER,
)
SNIPPET_LINES = Limit(
    "SNIPPET_LINES",
    25,
    "lines",
    "because a reader copies it",
    "Leave out what is not needed to place one call",
)
CARD_BYTES = Limit(
    "CARD_BYTES",
    110_000,
    "bytes",
    "because a host loads it with each call",
    "Look into kallyai_mcp/cards/pages.py for what it contains",
)
BUNDLE_BYTES = Limit(
    "BUNDLE_BYTES",
    1_000_000,
    "bytes",
    "because it is downloaded before the first use",
    "Leave files out in .mcpbignore",
    MAINTAINER,
)
ERROR_CHARACTERS = Limit(
    "ERROR_CHARACTERS",
    4_000,
    "characters",
    "because a model pays for each, and an argument may have a megabyte",
    "Shorten what the error quotes, with `visible(text, limit)` of tools/text/plain.py",
    MAINTAINER,
)
ANSWER_BYTES = Limit(
    "ANSWER_BYTES",
    12_000,
    "bytes",
    "because a model pays for each, and KallyAI may send a megabyte",
    "Shorten each text of KallyAI, with `visible(text, limit)` of tools/text/plain.py",
    MAINTAINER,
)
PACKAGES = Limit(
    "PACKAGES",
    50,
    "packages in a plain installation",
    "because each is a risk, and is downloaded at the first start",
    "Make the new one an extra, or do without it",
    MAINTAINER,
)
MEGABYTES = Limit(
    "MEGABYTES",
    100,
    "MB in a plain installation",
    "because it is downloaded at the first start",
    "Make the largest new package an extra, or do without it",
    MAINTAINER,
)

LIMITS = (
    README_WORDS,
    MODULE_LINES,
    SNIPPET_LINES,
    CARD_BYTES,
    BUNDLE_BYTES,
    ERROR_CHARACTERS,
    ANSWER_BYTES,
    PACKAGES,
    MEGABYTES,
)
