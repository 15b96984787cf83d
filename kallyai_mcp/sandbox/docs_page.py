"""`/docs` and `/`: the API on pages that need neither a network nor a script, drawn from the OpenAPI document."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from kallyai_mcp.sandbox import page_rendering, validation
from kallyai_mcp.sandbox.accounts import ACCOUNTS, SCOPES
from kallyai_mcp.sandbox.faults import KINDS
from kallyai_mcp.sandbox.simulator.numbers import as_rows

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Type:
    """What a value may be: words, and the schemas they mention, each with a place on the page."""

    words: str
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
class Answer:
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
    answers: tuple[Answer, ...]


_BOUNDS = {"minimum": "from {}", "maximum": "to {}", "default": "default {}"}


def types(schema: dict[str, Any]) -> tuple[Type, ...]:
    """A JSON schema in few words: its alternatives, a link for each schema it names."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return (Type(name, name),)
    if alternatives := schema.get("anyOf") or schema.get("allOf"):
        return tuple(found for alternative in alternatives for found in types(alternative))
    if "enum" in schema:
        return tuple(Type(f"“{value}”") for value in schema["enum"])
    if schema.get("type") == "array":
        return tuple(Type(f"array of {item.words}", item.schema) for item in types(schema.get("items", {})))
    words = [schema.get("format") or schema.get("type", "any")]
    words += [phrase.format(schema[key]) for key, phrase in _BOUNDS.items() if key in schema]
    return (Type(" ".join(words)),)


def _content(holder: dict[str, Any]) -> tuple[Type, ...]:
    """The types of a request body or an answer."""
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
        answers=tuple(
            Answer(status, answer["description"], _content(answer))
            for status, answer in sorted(operation["responses"].items())
        ),
    )


def groups(document: dict[str, Any]) -> dict[str, list[Endpoint]]:
    """The endpoints of an OpenAPI document by their tag, in the document's order."""
    found: dict[str, list[Endpoint]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            found.setdefault(operation.get("tags", ["Other"])[0], []).append(_endpoint(method, path, operation))
    return found


def schemas(document: dict[str, Any]) -> Iterator[tuple[str, str, list[Field]]]:
    """Each named schema of an OpenAPI document: its name, its description, its properties."""
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
    """Every endpoint, every schema, the test numbers, the accounts, the rules and the faults."""
    document = request.app.openapi()
    return page_rendering.render(
        "docs.html",
        base_url=str(request.base_url),
        groups=groups(document),
        schemas=list(schemas(document)),
        numbers=as_rows(),
        accounts=ACCOUNTS.values(),
        scopes=SCOPES,
        rules=validation.ORDER,
        languages=validation.SUPPORTED_LANGUAGES,
        countries=sorted(validation.SUPPORTED_COUNTRIES),
        unsafe=validation.UNSAFE,
        faults=KINDS,
    )


@router.get("/")
async def index_page(request: Request) -> HTMLResponse:
    """Where to go from here."""
    return page_rendering.render(
        "index.html", base_url=str(request.base_url), numbers=as_rows(), accounts=ACCOUNTS.values()
    )
