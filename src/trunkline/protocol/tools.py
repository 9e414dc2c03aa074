"""Tools, the choice among them, and the form of the answer's text."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from trunkline.protocol.items import Json

SearchToolType = Literal["web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"]
Verbosity = Literal["low", "medium", "high"]


class FunctionTool(Struct, frozen=True, tag_field="type", tag="function"):
    """A tool the client runs; `parameters` is a JSON schema, or None for no arguments."""

    name: str
    description: str | None = None
    parameters: dict[str, Json] | None = None
    strict: bool | None = None


class UserLocation(Struct, frozen=True):
    type: Literal["approximate"] = "approximate"
    city: str | None = None
    country: str | None = None
    region: str | None = None
    timezone: str | None = None


class SearchFilters(Struct, frozen=True):
    allowed_domains: tuple[str, ...] | None = None


class SearchTool(Struct, frozen=True):
    """A web search the provider or the gateway runs; the four types are one feature, only two take `filters`."""

    type: SearchToolType
    filters: SearchFilters | UnsetType | None = UNSET
    search_context_size: Literal["low", "medium", "high"] | UnsetType = UNSET
    user_location: UserLocation | UnsetType | None = UNSET


Tool = FunctionTool | SearchTool


class FunctionChoice(Struct, frozen=True, tag_field="type", tag="function"):
    name: str


class SearchChoice(Struct, frozen=True):
    type: SearchToolType


ToolChoice = Literal["auto", "none", "required"] | FunctionChoice | SearchChoice


class TextFormat(Struct, frozen=True, tag_field="type", tag="text"):
    """Plain text."""


class JsonObjectFormat(Struct, frozen=True, tag_field="type", tag="json_object"):
    """Any JSON object."""


class JsonSchemaFormat(Struct, frozen=True, tag_field="type", tag="json_schema"):
    """JSON that fits `schema`."""

    name: str
    schema: dict[str, Json]
    description: str | UnsetType = UNSET
    strict: bool | UnsetType | None = UNSET


Format = TextFormat | JsonObjectFormat | JsonSchemaFormat


class TextConfig(Struct, frozen=True):
    format: Format = TextFormat()
    verbosity: Verbosity | UnsetType = UNSET
