"""What each kind of grammar takes of JSON schema, in one table that every dialect reads.

A subset belongs to a capability, not to a company: what serves the same grammar shares one. How a schema is brought
into a subset is `schema_writer.py`.
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.catalog.entries import Endpoint


class Subset(Struct, frozen=True, kw_only=True):
    """What a grammar takes of JSON schema.

    `keywords` may stand in a schema. `formats` are those of strings, all where it is None. `has_maps`: objects may have
    properties that are not named. `has_cycles`: a schema may hold itself. `has_references`: `$ref` is known. `closes`:
    objects must be closed, strict or not. `requires_all`: in a strict schema every property is required.
    `requires_some`: every object requires a property. `demands_type`: a schema that says nothing is refused,
    `demands_items`: a list of anything. `flags_null`: null is a flag and enums hold only strings. `max_min_items`: the
    largest `minItems`. `max_depth`: how many objects may stand in each other. `demands_object`: the root must be an
    object and no union. `only_strict`: a schema that is not strict may say anything. `holds_tools`: the parameters of
    every tool are in this language, not only those of strict ones.
    """

    keywords: frozenset[str]
    formats: frozenset[str] | None = None
    has_maps: bool = True
    has_cycles: bool = True
    has_references: bool = True
    closes: bool = False
    requires_all: bool = False
    requires_some: bool = False
    demands_type: bool = False
    demands_object: bool = False
    demands_items: bool = False
    flags_null: bool = False
    only_strict: bool = False
    holds_tools: bool = False
    max_min_items: int | None = None
    max_depth: int | None = None


_COMMON = frozenset(
    {"$defs", "$ref", "additionalProperties", "anyOf", "description", "enum", "items", "properties", "required", "type"}
)

_CLOSED_FORMATS = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})

OPENAI = Subset(
    keywords=_COMMON
    | {
        "const",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "multipleOf",
        "pattern",
        "title",
    },
    formats=_CLOSED_FORMATS,
    has_maps=False,
    only_strict=True,
    closes=True,
    requires_all=True,
    demands_type=True,
    demands_object=True,
    demands_items=True,
    max_depth=10,
)
"""Strict schemas of OpenAI's, which the servers that speak its language follow (from its documentation, from memory).

https://developers.openai.com/api/docs/guides/structured-outputs.
"""

CLAUDE = Subset(
    keywords=_COMMON | {"const", "default", "format", "minItems", "pattern", "title"},
    formats=_CLOSED_FORMATS | {"uri"},
    has_maps=False,
    has_cycles=False,
    closes=True,
    requires_all=True,
    demands_type=True,
    max_min_items=1,
)
"""Anthropic's grammar, which Bedrock has for all its models.

https://platform.claude.com/docs/en/build-with-claude/structured-outputs (2026-11-22);
https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html.
"""

GEMINI = Subset(
    keywords=_COMMON
    | {
        "$anchor",
        "$id",
        "format",
        "maxItems",
        "maximum",
        "minItems",
        "minimum",
        "oneOf",
        "prefixItems",
        "propertyOrdering",
        "title",
    },
    holds_tools=True,
    requires_all=True,
)
"""`responseJsonSchema` and `parametersJsonSchema`; `definitions` is not among them, but `$defs` is.

https://ai.google.dev/gemini-api/docs/structured-output (2026-11-22).
"""

GEMINI_OPENAPI = Subset(
    keywords=frozenset(
        {
            "anyOf",
            "description",
            "enum",
            "format",
            "items",
            "maxItems",
            "maxLength",
            "maxProperties",
            "maximum",
            "minItems",
            "minLength",
            "minProperties",
            "minimum",
            "nullable",
            "pattern",
            "properties",
            "propertyOrdering",
            "required",
            "title",
            "type",
        }
    ),
    formats=frozenset({"date-time", "enum"}),
    has_maps=False,
    has_cycles=False,
    has_references=False,
    holds_tools=True,
    requires_all=True,
    flags_null=True,
)
"""The older `responseSchema` and `parameters`. https://ai.google.dev/api/caching#Schema (2026-11-22)."""

COHERE = Subset(
    keywords=_COMMON | {"const", "format", "pattern", "title"},
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    requires_all=True,
    requires_some=True,
    demands_object=True,
)
"""https://docs.cohere.com/docs/parameter-types-in-json (from memory): no bounds, and no composition but `anyOf`."""


def subset_of(endpoint: Endpoint) -> Subset | None:
    """The subset of the endpoint's grammar; None where schemas go out as they are and the provider judges them."""
    match endpoint.dialect:
        case "messages" | "converse":
            return CLAUDE
        case "gemini":
            return GEMINI_OPENAPI if endpoint.quirks.schema_keywords == "openapi" else GEMINI
        case "cohere":
            return COHERE
        case "chat" | "mistral":
            return OPENAI
        case _:
            return None
