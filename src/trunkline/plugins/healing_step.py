"""Whether the JSON of an answer is healed, and what of it: decided by the request, its key and the settings.

Pure. It needs nothing to be configured; a request that wants neither JSON nor calls functions has no such step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from trunkline.plugins.json_roots import Root
from trunkline.protocol.opaque import Json
from trunkline.protocol.preferences import ResponseHealingPlugin
from trunkline.protocol.request import Request, callable_tools
from trunkline.protocol.tools import Format, FunctionTool, JsonObjectFormat, JsonSchemaFormat, NamespaceTool
from trunkline.settings.sections import Settings

_PLUGIN = "response-healing"


class HealingStep(NamedTuple):
    """What is healed of an answer.

    `root` is what the JSON of its text begins with, None where its text is none; `schema` what that is to fit.
    """

    root: Root | None
    schema: dict[str, Json] | None = None
    heals_arguments: bool = False


def healing_step(request: Request, settings: Settings) -> HealingStep | None:
    """Say what of the answer to a request is healed; None where nothing is."""
    healing = settings.plugins.response_healing
    if not _is_on(request, settings) or (request.stream and not healing.stream):
        return None
    wanted = request.text.format if request.text is not None else None
    root = None if wanted is None else root_of(wanted)
    arguments = healing.tool_arguments and _offers_functions(request)
    if root is None and not arguments:
        return None
    schema = wanted.schema if root is not None and isinstance(wanted, JsonSchemaFormat) else None
    return HealingStep(root, schema, arguments)


def root_of(wanted: Format) -> Root | None:
    """The brackets with which text of a format begins; None where it is no JSON, or JSON without brackets."""
    match wanted:
        case JsonObjectFormat():
            return "{"
        case JsonSchemaFormat(schema=schema):
            return _root_of_schema(schema)
        case _:
            return None


def _root_of_schema(schema: Mapping[str, Json]) -> Root | None:
    told = schema.get("type")
    if told is None:
        return "{" if "properties" in schema else "{["
    kinds = told if isinstance(told, list) else [told]
    is_object, is_array = "object" in kinds, "array" in kinds
    if is_object and is_array:
        return "{["
    return "{" if is_object else "[" if is_array else None


def _is_on(request: Request, settings: Settings) -> bool:
    for plugin in request.plugins:
        if isinstance(plugin, ResponseHealingPlugin):
            return plugin.enabled
    return _PLUGIN in settings.plugins.defaults


def _offers_functions(request: Request) -> bool:
    return any(isinstance(tool, FunctionTool | NamespaceTool) for tool in callable_tools(request))
