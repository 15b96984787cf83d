"""No name in the package is a metaphor of the first versions; .github/CONTRIBUTING.md has the words
to use.

And no text has a word that an engineer in another country has to look up, British spelling, or
Spanish of Spain alone.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "kallyai_mcp"

NAMES = frozenset(
    {
        *("door", "strangers", "patience", "rates", "pipes"),
        *("desk", "plans", "unheard", "asking", "updates", "told", "hints"),
        *("crew", "carrier", "dialler", "rules", "guards", "oddity"),
        *(
            "enter",
            "admit",
            "same",
            "claim",
            "hand_out",
            "beat",
            "lose",
            "forget",
            "grip",
        ),
        *("marks", "seals", "building", "web", "guard"),
        *("admission", "doctoring", "signing_in", "installing", "sandboxing", "serving"),
        *("wire", "reading", "refusals", "documents"),
        *("faulty", "visitor"),
    }
)
"""Names that must not be used, in lower case and without leading underscores."""

MOST_WORDS = 9
"""The most words in the name of a test, `test` included."""

CLASSES = frozenset({"Questions", "Reception", "TelephoneTool", "Place"})
"""The same, but only as the names of classes: `place` and `questions` are good names of other
things.
"""

WORDS = frozenset(
    {
        *(
            "door",
            "desk",
            "stranger",
            "strangers",
            "patience",
            "reception",
            "telephone",
            "whoever",
            "whom",
        ),
        *(
            "crew",
            "carrier",
            "dialler",
            "dialled",
            "ring",
            "rings",
            "rung",
            "errand",
            "errands",
            "mend",
            "knock",
        ),
        *("unheard", "heard", "oddity", "oddities", "grip"),
    }
)
"""Words that must not be a part of any name."""


PHRASES = (
    r"by which|of which|to which|for want of|this "
    r"very|whom|whoever|whereby|thereby|hence|thus|lest|albeit|whilst|upon|"
    r"(fav|hon|col|behavi|neighb)our\w*|(recogn|organ|initial|normal|serial)is(e|es|ed|ing|ation)|catalogue|dialled|"
    r"(is|are|was|were|be) cancelled|(ha|han|has) (?!llamado)\w+(ado|ido)|vosotros|vuestr[oa]s?"
)
"""Phrases that must not be in any text: of the package, its comments included, of the docs, and of
the README.
"""

SAID_BY_OTHERS = PACKAGE / "calls" / "speech" / "phrases.toml"
"""What people and machines say on the phone, in their own words. No user reads it."""

TEXTS = ("*.py", "*.js", "*.json", "*.html", "*.css", "*.toml", "*.md", "*.txt")


def names_in(path: Path) -> Iterator[str]:
    """The name of a module, and every name that it defines: functions, classes, arguments,
    variables, attributes.
    """
    yield path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case (
                ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.ClassDef(name=name)
            ):
                yield name
            case ast.arg(arg=name) | ast.Attribute(attr=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)):
                yield name
            case _:
                pass


def words_of(name: str) -> set[str]:
    """The words in a snake_case or CamelCase name, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)}


def is_metaphor(name: str) -> bool:
    if name.startswith("__") and name.endswith("__"):  # Python's own, such as `__enter__`
        return False
    return name.strip("_").lower() in NAMES or name in CLASSES or bool(words_of(name) & WORDS)


def test_no_name_is_a_metaphor() -> None:
    found = {
        (path.name, name)
        for path in PACKAGE.rglob("*.py")
        for name in (path.parent.name, *names_in(path))
    }

    assert not {(file, name) for file, name in found if is_metaphor(name)}, (
        "name them with the words of .github/CONTRIBUTING.md (the section Words); the names that "
        "are not used are in tests/test_names.py, and a maintainer may take one off"
    )


def test_no_test_has_a_long_name() -> None:
    tests = {
        name
        for path in Path(__file__).parent.rglob("test_*.py")
        for name in names_in(path)
        if name.startswith("test_")
    }

    assert not {name for name in tests if name.count("_") >= MOST_WORDS}, (
        "say the behavior in at most eight words after `test_`"
    )


def test_no_text_has_a_hard_phrase() -> None:
    top = PACKAGE.parent
    paths = [
        path
        for kind in TEXTS
        for path in (*PACKAGE.rglob(kind), *(top / "docs").rglob(kind), *top.glob("*.md"))
        if path != SAID_BY_OTHERS
    ]
    found = {
        f"{path.relative_to(top)}: {match.group()}"
        for path in paths
        for match in re.finditer(
            rf"\b({PHRASES})\b", path.read_text(encoding="utf-8"), re.IGNORECASE
        )
    }

    assert PACKAGE / "settings.py" in paths
    assert not found, (
        "write it in plain American English: `who` for `whom`, `so` for `hence`, `color` for "
        "`colour`; the list is PHRASES in tests/test_names.py"
    )


def test_metaphors_are_found_and_good_names_are_not() -> None:
    bad = ["door", "_DOOR", "open_door", "DeskError", "Reception", "was_rung", "CallCrew", "lose"]
    good = ["place", "questions", "release", "string", "answering", "lose_nothing", "__enter__"]

    assert [name for name in [*bad, *good] if is_metaphor(name)] == bad
