"""`/docs` and `/`: pages made from the OpenAPI document, without scripts and without resources of other servers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import page_rendering, validation
from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.auth.text import TEXTS, preferred_language
from kallyai_mcp.sandbox.faults import KINDS
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


_BOUNDS = {"minimum": "from {}", "maximum": "to {}", "default": "default {}"}


def types(schema: dict[str, Any]) -> tuple[Type, ...]:
    """Describe a JSON schema: one `Type` for each of its alternatives."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (Type(name, name),)
    if alternatives := schema.get("anyOf") or schema.get("allOf"):
        return tuple(found for alternative in alternatives for found in types(alternative))
    if "enum" in schema:
        return tuple(Type(f"“{value}”") for value in schema["enum"])
    if schema.get("type") == "array":
        return tuple(Type(f"array of {item.text}", item.schema) for item in types(schema.get("items", {})))
    parts = [schema.get("format") or schema.get("type", "any")]
    parts += [template.format(schema[key]) for key, template in _BOUNDS.items() if key in schema]
    return (Type(" ".join(parts)),)


def _content(holder: dict[str, Any]) -> tuple[Type, ...]:
    """Return the types of a request body or a response."""
    return tuple(found for media in holder.get("content", {}).values() for found in types(media.get("schema", {})))


def _endpoint(method: str, path: str, operation: dict[str, Any]) -> Endpoint:
    return Endpoint(
        id=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation.get("summary", ""),
        description=operation.get("description", ""),
        fields=tuple(
            Field(p["name"], p["in"], types(p["schema"]), p.get("required", False), p.get("description", ""))
            for p in operation.get("parameters", [])
        ),
        body=_content(operation.get("requestBody", {})),
        responses=tuple(
            Response(status, response["description"], _content(response))
            for status, response in sorted(operation["responses"].items())
        ),
    )


def groups(document: dict[str, Any]) -> dict[str, list[Endpoint]]:
    """Return the endpoints of an OpenAPI document by their tag, in the document's order."""
    found: dict[str, list[Endpoint]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation.get("tags", ["Other"])[0], []).append(_endpoint(method, path, operation))
    return found


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, str, list[Field]]]:
    """Yield the name, description, and properties of each named schema of an OpenAPI document."""
    for name, schema in document["components"]["schemas"].items():
        required = schema.get("required", [])
        properties = schema.get("properties", {}).items()
        fields = [
            Field(field, "", types(value), field in required, value.get("description", ""))
            for field, value in properties
        ]
        yield name, schema.get("description", "").partition("\n\n")[0], fields


@router.get("/docs")
async def docs_page(request: Request) -> HTMLResponse:
    """Show the endpoints, the schemas, the rules, the test numbers, the accounts, and the faults."""
    document = request.app.openapi()
    return page_rendering.render(
        "docs.html",
        base_url=str(request.base_url),
        groups=groups(document),
        schemas=list(schemas(document)),
        numbers=as_rows(),
        accounts=ACCOUNTS.values(),
        scopes=SCOPES,
        call_rules=validation.CALL_RULES,
        languages=validation.SUPPORTED_LANGUAGES,
        countries=sorted(validation.SUPPORTED_COUNTRIES),
        unsafe=validation.UNSAFE,
        faults=KINDS,
        choices=BEYOND_THE_REFERENCE,
    )


@router.get("/")
async def index_page(request: Request) -> HTMLResponse:
    """Show the sandbox's URL, the accounts, and the test numbers."""
    language = preferred_language(request.headers.get("accept-language"))
    descriptions = TEXTS[language].accounts
    return page_rendering.render(
        "index.html",
        language=language,
        base_url=str(request.base_url),
        numbers=as_rows(language),
        accounts=[(account.email, descriptions.get(id_, account.description)) for id_, account in ACCOUNTS.items()],
    )
