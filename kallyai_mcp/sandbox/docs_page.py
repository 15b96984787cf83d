"""`/docs` and `/`: pages made from the OpenAPI document, without scripts and without resources of other servers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import page_rendering, validation
from kallyai_mcp.sandbox.accounts import ACCOUNTS, scopes_in
from kallyai_mcp.sandbox.faults import KINDS
from kallyai_mcp.sandbox.page_rendering import Language, PageLanguage
from kallyai_mcp.sandbox.reference_notes import BEYOND_THE_REFERENCE
from kallyai_mcp.sandbox.simulator.numbers import as_rows

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Type:
    """One type that a value may have: its text, and the schema on the same page that the text links to."""

    text: str
    schema: str | None = None


@dataclass(frozen=True)
class Field:
    """One parameter of an endpoint, or one property of a schema."""

    name: str
    where: str
    types: tuple[Type, ...]
    required: bool
    description: str


@dataclass(frozen=True)
class Response:
    """One status that an endpoint can answer with."""

    status: str
    description: str
    types: tuple[Type, ...]


@dataclass(frozen=True)
class Endpoint:
    """One method on one path."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    fields: tuple[Field, ...]
    body: tuple[Type, ...]
    responses: tuple[Response, ...]


_BOUNDS: dict[Language, dict[str, str]] = {
    "en": {"minimum": "from {}", "maximum": "to {}", "default": "default {}", "items": "array of {}"},
    "es": {"minimum": "desde {}", "maximum": "hasta {}", "default": "por defecto {}", "items": "lista de {}"},
}
"""What a schema's keywords say, by language."""


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


def _content(holder: dict[str, Any], language: Language) -> tuple[Type, ...]:
    """Return the types of a request body or a response."""
    contents = holder.get("content", {}).values()
    return tuple(found for media in contents for found in types(media.get("schema", {}), language))


def _endpoint(method: str, path: str, operation: dict[str, Any], language: Language) -> Endpoint:
    return Endpoint(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        fields=tuple(
            Field(p["name"], p["in"], types(p["schema"], language), p.get("required", False), p.get("description", ""))
            for p in operation.get("parameters", [])
        ),
        body=_content(operation.get("requestBody", {}), language),
        responses=tuple(
            Response(status, response["description"], _content(response, language))
            for status, response in sorted(operation["responses"].items())
        ),
    )


def groups(document: dict[str, Any], language: Language) -> dict[str, list[Endpoint]]:
    """Return the endpoints of an OpenAPI document by their tag, in the document's order."""
    found: dict[str, list[Endpoint]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation.get("tags", ["Other"])[0], []).append(
                _endpoint(method, path, operation, language)
            )
    return found


def schemas(document: dict[str, Any], language: Language) -> Iterator[tuple[str, str, list[Field]]]:
    """Yield the name, description, and properties of each named schema of an OpenAPI document."""
    for name, schema in document["components"]["schemas"].items():
        required = schema.get("required", [])
        properties = schema.get("properties", {}).items()
        fields = [
            Field(field, "", types(value, language), field in required, value.get("description", ""))
            for field, value in properties
        ]
        yield name, schema.get("description", "").partition("\n\n")[0], fields


@router.get("/docs")
async def docs_page(request: Request, language: PageLanguage) -> HTMLResponse:
    """Show the endpoints, the schemas, the rules, the test numbers, the accounts, and the faults."""
    document = request.app.openapi()
    return page_rendering.render(
        "docs.html",
        language=language,
        base_url=str(request.base_url),
        groups=groups(document, language),
        schemas=list(schemas(document, language)),
        numbers=as_rows(language),
        accounts=ACCOUNTS.values(),
        scopes=scopes_in(language),
        call_rules=validation.CALL_RULES[language],
        languages=validation.SUPPORTED_LANGUAGES,
        countries=sorted(validation.SUPPORTED_COUNTRIES),
        unsafe=validation.UNSAFE,
        faults={kind: description.in_language(language) for kind, description in KINDS.items()},
        choices=BEYOND_THE_REFERENCE[language],
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
