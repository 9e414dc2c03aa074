"""What each kind of grammar takes of JSON schema, in one table that every dialect reads.

A subset belongs to a capability, not to a company: what serves the same grammar shares one. How a schema is brought
into a subset is `schema_writer.py`.

A row says where it is from: the vendor's document, or threads where it was said of the vendor, with the day. What no
document says is told to be unverified. `requires_all` is our own choice: strict means everywhere what it means in
OpenAI's language.
"""

from __future__ import annotations

from msgspec import Struct

from trunkline.adapters.encoding.schema_limits import Limits
from trunkline.catalog.entries import Endpoint


class Subset(Struct, frozen=True, kw_only=True):
    """What a grammar takes of JSON schema.

    `keywords` may stand in a schema. `formats` are those of strings, all where it is None. `refuses_pattern`: what no
    pattern may hold, as a pattern. `enum_types`: the types of the values of enums. `has_maps`: objects may have
    properties that are not named; `loose_maps`: what these hold need not have what their schema requires. `has_cycles`:
    a schema may hold itself; `opens_loops`: only if an answer need not go round. `has_references`: `$ref` is known.
    `closes`: objects must be closed, strict or not. `requires_all`: in a strict schema every property is required.
    `requires_some`: every object requires a property. `demands_type`: a schema that says nothing is refused,
    `demands_items`: a list of anything. `flags_null`: null is a flag. `max_min_items`: the largest `minItems`.
    `max_depth`: how many objects may stand in each other. `demands_object`: the root must be an object and no union.
    `only_strict`: a schema that is not strict may say anything. `holds_tools`: the parameters of every tool are in this
    language, not only those of strict ones. `limits` are those of one schema; `shared` those of all strict tools of a
    request, with the answer's schema where it is held as well, and `max_strict_tools` how many there may be.
    """

    source: str
    keywords: frozenset[str]
    formats: frozenset[str] | None = None
    refuses_pattern: str = ""
    enum_types: tuple[type, ...] = (str, int, float, bool, type(None))
    has_maps: bool = True
    loose_maps: bool = False
    has_cycles: bool = True
    opens_loops: bool = False
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
    limits: Limits | None = None
    shared: Limits | None = None
    max_strict_tools: int | None = None


_COMMON = frozenset(
    {"$defs", "$ref", "additionalProperties", "anyOf", "description", "enum", "items", "properties", "required", "type"}
)

_CLOSED_FORMATS = frozenset({"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"})

_NUMBER_BOUNDS = frozenset({"exclusiveMaximum", "exclusiveMinimum", "maximum", "minimum", "multipleOf"})

_LOOKAROUND = r"\(\?<?[=!]"

OPENAI = Subset(
    source="https://developers.openai.com/api/docs/guides/structured-outputs#supported-schemas, seen 2026-11-27: "
    "keywords, formats, limits, the root. How levels are counted is not said there; objects are. That a pattern may "
    "not look around: existential-birds/daydream#304, 2026-08-05; vercel/ai#21037, 2026-09-17. That a type and the "
    "items of lists must be said, no `$ref` may have neighbours and a title may stand: unverified. "
    "https://console.groq.com/docs/structured-outputs, seen 2026-11-27: Groq wants the same, and lists no keywords.",
    keywords=_COMMON | _NUMBER_BOUNDS | {"const", "format", "maxItems", "minItems", "pattern", "title"},
    formats=_CLOSED_FORMATS,
    refuses_pattern=_LOOKAROUND,
    has_maps=False,
    only_strict=True,
    closes=True,
    requires_all=True,
    demands_type=True,
    demands_object=True,
    demands_items=True,
    max_depth=10,
    limits=Limits(properties=5_000, names=120_000, values=1_000, long_enum=15_000),
)
"""Strict schemas of OpenAI's, which the servers that speak its language follow."""

MISTRAL = Subset(
    source="langchain-ai/langchain#29604, seen 2026-11-27: `format` is a 400; browser-use/browser-use#5704, "
    "2026-09-06: so is `pattern`. Its documents name no subset "
    "(https://docs.mistral.ai/capabilities/structured-output/custom_structured_output/, seen 2026-11-27); that the "
    "rest is as at OpenAI is unverified.",
    keywords=OPENAI.keywords - {"format", "pattern"},
    has_maps=False,
    only_strict=True,
    closes=True,
    requires_all=True,
    demands_type=True,
    demands_object=True,
    demands_items=True,
    max_depth=10,
)

_CLAUDES_LIMITS = Limits(optional=24, unions=16)

CLAUDE = Subset(
    source="https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations, seen "
    "2026-11-27: keywords, formats, patterns, limits; titles and descriptions are not in its list, and its clients "
    "send them. https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html, seen 2026-11-27: the "
    "same list, without patterns and limits. Which errors the limits give: elie222/inbox-zero#2323, 2026-04-20; "
    "elizaOS/eliza#16499, 2026-07-16. That a type must be said is unverified.",
    keywords=_COMMON | {"const", "default", "format", "minItems", "pattern", "title"},
    formats=_CLOSED_FORMATS | {"uri"},
    # Quantifiers with large ranges are refused as well; how large is not said.
    refuses_pattern=rf"{_LOOKAROUND}|\\[bB1-9k]",
    has_maps=False,
    has_cycles=False,
    closes=True,
    requires_all=True,
    demands_type=True,
    max_min_items=1,
    limits=_CLAUDES_LIMITS,
    shared=_CLAUDES_LIMITS,
    max_strict_tools=20,
)
"""Anthropic's grammar, which Bedrock has for all its models."""

GEMINI = Subset(
    source="https://ai.google.dev/api/generate-content#v1beta.GenerationConfig (`responseJsonSchema`), seen "
    "2026-11-27: keywords, enums of strings and numbers, what may stand beside `$ref`, loops; `definitions` is not "
    "among them, but `$defs` is. juspay/juspay-mcp#132, 2026-05-27: the error for a loop, which lets lists be that "
    "may be empty. lobehub/lobehub#11859, 2026-01-26: null in an enum is a 400. That `parametersJsonSchema` takes the "
    "same is unverified. Schemas that are too large are refused, and no figure is given.",
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
    enum_types=(str, int, float),
    opens_loops=True,
    holds_tools=True,
    requires_all=True,
)
"""`responseJsonSchema` and `parametersJsonSchema`."""

GEMINI_OPENAPI = Subset(
    source="https://ai.google.dev/api/caching#Schema, seen 2026-11-27: keywords, enums of strings. It says that any "
    "format is allowed; google-gemini/gemini-cli#3178, 2025-07-03: only two are, of strings. decolua/9router#380, "
    "2026-03-21: an enum needs its type.",
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
    enum_types=(str,),
    has_maps=False,
    has_cycles=False,
    has_references=False,
    holds_tools=True,
    requires_all=True,
    flags_null=True,
)
"""The older `responseSchema` and `parameters`."""

COHERE = Subset(
    source="https://docs.cohere.com/docs/structured-outputs#parameter-types-support, seen 2026-11-27: keywords, "
    "formats, patterns, the types of constants, what further properties are not held to, one required property in "
    "each object, 200 fields in strict tools. That a title may stand is unverified.",
    keywords=_COMMON | {"const", "format", "pattern", "title"},
    formats=frozenset({"date", "date-time", "time", "uuid"}),
    # Anchors are refused wherever they stand; `[^…]` is none.
    refuses_pattern=rf"{_LOOKAROUND}|(?<!\[)\^|\$",
    loose_maps=True,
    requires_all=True,
    requires_some=True,
    demands_object=True,
    shared=Limits(properties=200),
)


class Refusal(Struct, frozen=True, kw_only=True):
    """What servers of a language refuse in every schema, strict or not: `keywords`, and what no `pattern` may hold.

    `marks` are what the schema as JSON then holds, so that nearly all schemas need no second look.
    """

    source: str
    marks: tuple[bytes, ...]
    keywords: frozenset[str] = frozenset()
    pattern: str = ""


LOOKING_AROUND = Refusal(
    source="anomalyco/opencode#32073, 2026-06-12; cline/cline#14019, 2026-09-10: at OpenAI and Azure one tool whose "
    "pattern looks around, as those for e-mail addresses do, makes every request a 400.",
    marks=(b"(?=", b"(?!", b"(?<"),
    pattern=_LOOKAROUND,
)

NAMING_ITSELF = Refusal(
    source="BerriAI/litellm#13389, 2025-08-07: Mistral cannot compile tools that say `$schema` or `$id`.",
    marks=(b'"$schema"', b'"$id"'),
    keywords=frozenset({"$id", "$schema"}),
)


def subset_of(endpoint: Endpoint) -> Subset | None:
    """The subset of the endpoint's grammar; None where schemas go out as they are and the provider judges them."""
    match endpoint.dialect:
        case "messages" | "converse":
            return CLAUDE
        case "gemini":
            return GEMINI_OPENAPI if endpoint.quirks.schema_keywords == "openapi" else GEMINI
        case "cohere":
            return COHERE
        case "chat":
            return OPENAI
        case "mistral":
            return MISTRAL
        case _:
            return None


def refusal_of(endpoint: Endpoint) -> Refusal | None:
    """What the endpoint refuses in any schema, though it otherwise takes them as they are."""
    match endpoint.dialect:
        case "responses" | "chat":
            return LOOKING_AROUND
        case "mistral":
            return NAMING_ITSELF
        case _:
            return None
