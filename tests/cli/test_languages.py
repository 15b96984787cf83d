"""The whole terminal is in English and in Spanish: help, errors, and what the commands print."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po
from click.testing import CliRunner

import kallyai_mcp
from kallyai_mcp.cli.main import cli
from kallyai_mcp.languages import localized, use_language
from tests.cli.machine import invoke
from tests.processes import LIMIT, environment

PACKAGE = Path(kallyai_mcp.__file__).parent

SHOW_HELP = """
import json, click
from click.testing import CliRunner
from kallyai_mcp.cli.main import cli

parent = click.Context(cli)
commands = {name: cli.get_command(parent, name) for name in cli.list_commands(parent)} | {"--help": cli}
print(json.dumps({
    name: {
        "help": CliRunner().invoke(cli, [*name.split(), "--help"], env={"COLUMNS": "80"}).output,
        "texts": command.to_info_dict(click.Context(command)),
    }
    for name, command in commands.items()
}))
"""


@pytest.fixture(scope="module")
def help_pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The help of each command, by language."""
    own = environment(tmp_path_factory.mktemp("home"))
    processes = {
        language: subprocess.Popen(
            [sys.executable, "-c", SHOW_HELP],
            env=own | {"LC_ALL": locale, "PYTHONIOENCODING": "utf-8"},
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        for language, locale in (("en", "C.UTF-8"), ("es", "es_MX.UTF-8"))
    }
    return {language: json.loads(process.communicate(timeout=LIMIT)[0]) for language, process in processes.items()}


def texts_in(info: object, path: str = "") -> Iterator[tuple[str, str]]:
    """What people read of click's description of a command, with the place of each text."""
    if isinstance(info, dict):
        for key, value in info.items():
            if key in ("help", "short_help", "epilog") and value is not None:
                yield f"{path}.{info.get('name', '')}.{key}", value
            else:
                yield from texts_in(value, f"{path}.{info.get('name', '')}.{key}")
    elif isinstance(info, list):
        for number, value in enumerate(info):
            yield from texts_in(value, f"{path}.{number}")


def test_each_text_of_the_help_exists_in_both_languages(help_pages: dict[str, dict[str, Any]]) -> None:
    english, spanish = (dict(texts_in(help_pages[language])) for language in ("en", "es"))

    assert len(english) > 90
    assert english.keys() == spanish.keys()
    assert [place for place, text in english.items() if text == spanish[place]] == []
    for place, text in english.items():
        named = re.compile(r"--[a-z-]+|`[^`]+`|KALLYAI_\w+|/mcp|/sse|/health|/ready")
        assert sorted(named.findall(text)) == sorted(named.findall(spanish[place])), place


def test_spanish_help_has_nothing_in_english(help_pages: dict[str, dict[str, Any]]) -> None:
    words = re.compile(r"\b(the|of|Usage|Options|Commands|Show|Print|default|COMMAND|ARGS|FILE|NAME|TEXT|INTEGER)\b")
    for name, page in help_pages["es"].items():
        assert words.findall(page["help"]) == [], name


def test_names_of_clients_are_whole_in_the_help(help_pages: dict[str, dict[str, Any]]) -> None:
    for name in ("install", "uninstall"):
        assert re.search(r"\S-\n", help_pages["en"][name]["help"]) is None
        assert "claude-desktop, claude-code, cursor, vscode,\n" in help_pages["en"][name]["help"]


def texts_of(catalog: Catalog) -> dict[str, list[str]]:
    """The Spanish of each text, by its English singular."""
    return {next(iter(each(message.id))): [*each(message.string)] for message in catalog if message.id}


def each(text: str | list[str] | tuple[str, ...] | None) -> list[str]:
    return [text] if isinstance(text, str) else list(text or ())


def test_the_catalog_is_compiled_and_has_what_click_fills_in() -> None:
    catalog = PACKAGE / "cli" / "locale" / "es" / "LC_MESSAGES" / "messages"
    with catalog.with_suffix(".po").open("rb") as source, catalog.with_suffix(".mo").open("rb") as compiled:
        written, read = read_po(source, locale="es"), read_mo(compiled)

    assert texts_of(read) == texts_of(written), "see the first lines of messages.po"
    for message in written:
        known, used = ({*re.findall(r"\{\w+(?:!r)?\}", str(text))} for text in (message.id, message.string))
        assert used <= known, message.id


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--port", "x"), "Error: Valor no válido para '--port': 'x' no es un número válido."),
        (("serve", "--port", "70000"), "70000 no está en el intervalo 0<=x<=65535."),
        (("serve", "--porc", "3"), "Error: No existe la opción '--porc'. ¿Querías decir '--port'?"),
        (("serve", "--transport", "x"), "'x' no es ninguno de estos: 'stdio', 'http', 'sse'."),
        (("show",), "Error: Falta el argumento 'ID'."),
        (("show", "a", "b"), "Error: Sobra un argumento (b)"),
        (("calendar", "x", "-o", "."), "'.' es una carpeta."),
        (("cal",), "No existe el comando 'cal'. (¿Querías decir una de estas?: 'call', "),
        (("install", "cursr"), "ningún cliente se llama 'cursr'; ¿querías decir cursor"),
    ],
)
def test_a_wrong_command_is_answered_in_spanish(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str
) -> None:
    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")
    result = invoke(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr


def test_a_language_that_is_chosen_goes_before_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "es_MX.UTF-8")

    assert localized("here", "aquí") == "aquí"
    with use_language("en"):
        assert localized("here", "aquí") == "here"
    assert localized("here", "aquí") == "aquí"


TAKE_A_PAIR = {"localized", "invalid", "say_localized", "CommandError", "SetupError", "DemoError", "ClientFileError",
               "HasCommentsError", "BadFormatError"}  # fmt: skip
"""Functions and exceptions whose arguments are a text in English and the same in Spanish."""

TAKE_A_PAIR_AFTER = {"skipped", "option", "speed_option", "listed"}
"""Those with another argument before the texts."""


def pairs() -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Each pair of texts in the code, and where it is."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name(id=name), args=[english, spanish]) if name in TAKE_A_PAIR:
                    yield f"{file.relative_to(PACKAGE)}:{node.lineno}", english, spanish
                case ast.Call(func=ast.Name(id=name), args=[_, english, spanish]) if name in TAKE_A_PAIR_AFTER:
                    yield f"{file.relative_to(PACKAGE)}:{node.lineno}", english, spanish
                case ast.keyword(arg="reload", value=ast.Tuple(elts=[english, spanish])):
                    yield f"{file.relative_to(PACKAGE)}:{node.lineno}", english, spanish
                case _:
                    pass


def values_in(text: ast.expr) -> list[str]:
    """The names of the values that an f-string fills in."""
    filled = [node for node in ast.walk(text) if isinstance(node, ast.FormattedValue)]
    return sorted(node.id for each in filled for node in ast.walk(each) if isinstance(node, ast.Name))


def test_both_texts_of_a_pair_have_the_same_values() -> None:
    found = list(pairs())

    assert len(found) > 60
    for place, english, spanish in found:
        assert values_in(english) == values_in(spanish), place


def test_json_is_in_english_on_every_terminal(tmp_path: Path) -> None:
    wrong = {"LC_ALL": "es_MX.UTF-8", "KALLYAI_HOME": str(tmp_path), "KALLYAI_WAIT_SECONDS": "x"}
    as_json = CliRunner(env=environment(tmp_path) | wrong).invoke(cli, ["doctor", "--json"])
    for_people = CliRunner(env=environment(tmp_path) | wrong).invoke(cli, ["doctor"])
    nobody = CliRunner(env=environment(tmp_path) | {"LC_ALL": "es_MX.UTF-8"}).invoke(cli, ["status", "--json"])

    assert "'x' is not a number of seconds" in as_json.stdout
    assert "set it as it says" in as_json.stdout
    assert "'x' no es un número de segundos" in for_people.stdout
    assert "ponlo como dice, o quítalo" in for_people.stdout
    assert json.loads(nobody.stdout)["error"]["message"].startswith("Not signed in.")


# What a function prints for people, and what the words of an exception are for people.
PRINTS = TAKE_A_PAIR | {"say", "ClickException", "UsageError", "BadParameter", "Finding", "SettingsError", "ValueError"}
IN_BOTH = {"settings.py", "setting_values.py", "urls.py"}


def test_nothing_is_printed_in_one_language_only() -> None:
    """A literal sentence, such as "Not signed in.", must be one of a pair; a lone word may be a name."""
    found = []
    for file in [*(PACKAGE / "cli").rglob("*.py"), *(PACKAGE / name for name in IN_BOTH)]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and (name := ast.unparse(node.func).rpartition(".")[2]) in PRINTS:
                if name in TAKE_A_PAIR and len(node.args) == 2:
                    continue
                texts = [part for part in node.args if isinstance(part, ast.Constant | ast.JoinedStr)]
                words = " ".join(
                    str(part.value) for text in texts for part in ast.walk(text) if isinstance(part, ast.Constant)
                )
                if re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", words) and "kallyai-mcp" not in words:
                    found.append(f"{file.name}:{node.lineno}: {words}")

    assert found == []
