"""`/docs` and `/`: pages made from the OpenAPI document, without scripts and without resources of other servers."""

import tomllib
from dataclasses import dataclass
from functools import cache, partial
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import page_rendering, validation
from kallyai_mcp.sandbox.accounts import ACCOUNTS, scopes_in
from kallyai_mcp.sandbox.faults import KINDS
from kallyai_mcp.sandbox.page_rendering import Language, PageLanguage
from kallyai_mcp.sandbox.simulator.numbers import as_rows

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Type:
    """One type that a value may have: its text, and the schema on the same page that the text links to."""

    text: str
    schema: str | None = None


_BOUNDS: dict[Language, dict[str, str]] = {
    "en": {"minimum": "from {}", "maximum": "to {}", "default": "default {}", "items": "array of {}"},
    "es": {"minimum": "desde {}", "maximum": "hasta {}", "default": "por defecto {}", "items": "lista de {}"},
}
"""Texts for the keywords of a schema, by language."""


def types(schema: dict[str, Any], language: Language) -> tuple[Type, ...]:
    """Describe a JSON schema: one `Type` for each of its alternatives."""
    words = _BOUNDS[language]
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (Type(name, name),)
    if alternatives := schema.get("anyOf") or schema.get("allOf"):
        return tuple(found for alternative in alternatives for found in types(alternative, language))
    if "enum" in schema:
        return tuple(Type(f"`{value}`") for value in schema["enum"])
    if schema.get("type") == "array":
        items = types(schema.get("items", {}), language)
        return tuple(Type(words["items"].format(item.text), item.schema) for item in items)
    parts = [schema.get("format") or schema.get("type", "any")]
    parts += [template.format(schema[key]) for key, template in words.items() if key in schema]
    return (Type(" ".join(parts)),)


def content_types(holder: dict[str, Any], language: Language) -> tuple[Type, ...]:
    """Return the types of a request body or a response."""
    contents = holder.get("content", {}).values()
    return tuple(found for media in contents for found in types(media.get("schema", {}), language))


def groups(document: dict[str, Any]) -> dict[str, list[tuple[str, str, dict[str, Any]]]]:
    """Return the operations of an OpenAPI document, each with its method and path, by tag in the document's order."""
    found: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation.get("tags", ["Other"])[0], []).append((method.upper(), path, operation))
    return found


@cache
def beyond_the_reference(language: Language) -> list[str]:
    """Return the notes on what the sandbox does where the reference says nothing (`reference_notes.toml`)."""
    notes = tomllib.loads((files("kallyai_mcp.sandbox") / "reference_notes.toml").read_text(encoding="utf-8"))
    return [note[language] for note in notes["note"]]


@router.get("/docs")
async def docs_page(request: Request, language: PageLanguage) -> HTMLResponse:
    """Show the endpoints, the schemas, the rules, the test numbers, the accounts, and the faults."""
    document = request.app.openapi()
    return page_rendering.render(
        "docs.html",
        language=language,
        base_url=str(request.base_url),
        types=partial(types, language=language),
        content_types=partial(content_types, language=language),
        groups=groups(document),
        schemas=document["components"]["schemas"],
        numbers=as_rows(language),
        accounts=ACCOUNTS.values(),
        scopes=scopes_in(language),
        call_rules=validation.CALL_RULES[language],
        languages=validation.SUPPORTED_LANGUAGES,
        countries=sorted(validation.SUPPORTED_COUNTRIES),
        unsafe=validation.UNSAFE,
        faults={kind: description.in_language(language) for kind, description in KINDS.items()},
        choices=beyond_the_reference(language),
    )


@router.get("/")
async def index_page(request: Request, language: PageLanguage) -> HTMLResponse:
    """Show the sandbox's URL, the accounts, and the test numbers."""
    return page_rendering.render(
        "index.html",
        language=language,
        base_url=str(request.base_url),
        numbers=as_rows(language),
        accounts=ACCOUNTS.values(),
    )
