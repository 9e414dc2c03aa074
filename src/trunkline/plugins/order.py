"""Which steps run around the model for a request, and in which order: decided before anybody is planned or asked.

Pure. What a request says goes before what its key says, and that before the gateway's defaults. A step that is asked
for and not configured is refused here, so that an explanation says it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from trunkline.adapters.encoding.documents import for_all
from trunkline.errors import BadRequest
from trunkline.generation import NOTHING_NOTED, Noted
from trunkline.plugins.carried import restored
from trunkline.plugins.files import FileStep, file_step
from trunkline.plugins.healing_step import HealingStep, healing_step
from trunkline.plugins.moderating import OutputCheck, not_configured
from trunkline.plugins.searching import SearchStep, engine_of, is_online, offline, search_step
from trunkline.protocol.preferences import (
    FileParserPlugin,
    ModerationPlugin,
    PluginSettings,
    ResponseHealingPlugin,
    WebPlugin,
)
from trunkline.protocol.request import Request
from trunkline.protocol.tools import SearchTool
from trunkline.settings.sections import Settings

_DEFAULTS: Final[dict[str, PluginSettings]] = {
    "web": WebPlugin(),
    "response-healing": ResponseHealingPlugin(),
    "moderation": ModerationPlugin(),
    "file-parser": FileParserPlugin(),
}


class Steps(NamedTuple):
    """What runs around the model: the search inside, the healing around it, the check of the answer around both.

    `asked` is what is asked in the place of the client's own request. `noted` is what was done before, by plugin.
    `files` says how documents are read.
    """

    search: SearchStep | None = None
    healing: HealingStep | None = None
    asked: Request | None = None
    noted: Noted = NOTHING_NOTED
    output: OutputCheck | None = None
    files: FileStep | None = None

    @property
    def run_around(self) -> bool:
        """Whether something runs while the model answers; what was done before, as filling a template, does not."""
        return not (self.search is None and self.healing is None and self.output is None and self.files is None)


NO_STEPS = Steps()
"""Those of a request that is asked as it is; known by identity."""


def order(
    request: Request, settings: Settings, engines: Sequence[str] = (), ocr: str | None = None
) -> tuple[Request, Steps]:
    """Say what is to be planned for a request, and what runs around it; `engines` are the search engines that are on,
    `ocr` is the engine that reads scanned files, empty where none is on, and None where no files are read.

    The request is the same object where nothing of it changes. Raises BadRequest for what is not configured.
    """
    asked = restored(request)
    files = file_step(request, ocr)
    if asked is request and files is None and not settings.plugins.defaults and not _may_ask(request):
        return request, NO_STEPS
    plugins = [plugin for plugin in _with_defaults(request.plugins, settings.plugins.defaults) if _is_on(plugin)]
    web: WebPlugin | None = None
    for plugin in plugins:
        if isinstance(plugin, WebPlugin):
            web = plugin
    if asked.plugins:
        asked = replace(asked, plugins=())
    if is_online(request) and engine_of(web, settings, engines):
        web, asked = web or WebPlugin(), offline(asked)
    _refuse_unconfigured(plugins, settings, engines, ocr)
    if files is not None:
        asked = for_all(asked)
    search, healing = search_step(asked, web, settings, engines), healing_step(request, settings)
    if search is None and healing is None and asked is request:
        return request, NO_STEPS
    return asked, Steps(search, healing, asked, files=files)


def steps_as_json(steps: Steps) -> dict[str, object]:
    """Put what would run around the model into plain values that JSON can hold, by plugin."""
    told: dict[str, object] = {**steps.noted}
    if (search := steps.search) is not None:
        told["web"] = {"engine": search.engine, "most_searches": search.most, "is_tool": search.is_offered}
    if (healing := steps.healing) is not None:
        told["healing"] = {"text": healing.root is not None, "tool_arguments": healing.heals_arguments}
    return told


def _may_ask(request: Request) -> bool:
    """Whether a request may ask for a step at all; most ask for none."""
    return (
        bool(request.plugins or request.models)
        or request.has_extensions
        or (request.model is not None and ":" in request.model)
        or (bool(request.tools) and SearchTool in map(type, request.tools))
    )


def _with_defaults(plugins: Sequence[PluginSettings], defaults: Sequence[str]) -> Sequence[PluginSettings]:
    """The plugins of a request, and those of the gateway's that it says nothing of."""
    if not defaults:
        return plugins
    named = set(map(type, plugins))
    return [*plugins, *(_DEFAULTS[id] for id in defaults if type(_DEFAULTS[id]) not in named)]


def _refuse_unconfigured(
    plugins: Sequence[PluginSettings], settings: Settings, engines: Sequence[str], ocr: str | None
) -> None:
    """Refuse what this gateway cannot do, for an answer that was not moderated looks like one that was."""
    for plugin in plugins:
        match plugin:
            case ModerationPlugin() if not settings.moderation:
                raise not_configured()
            case FileParserPlugin(engine="mistral-ocr") if not ocr:
                raise BadRequest(
                    'plugins: engine "mistral-ocr" of "file-parser" is not configured in this gateway, which needs an '
                    "engine for it ([ocr.NAME] in its settings); leave engine out.",
                    param="plugins",
                )
            case WebPlugin() if plugin.engine != "native" and not engine_of(plugin, settings, engines):
                raise BadRequest(
                    'plugins: "web" is not configured in this gateway, which needs a search engine for it '
                    "([search.NAME] in its settings); leave it out.",
                    param="plugins",
                )
            case _:
                pass  # healing and the auto-router need nothing


def _is_on(plugin: PluginSettings) -> bool:
    return isinstance(plugin, ModerationPlugin) or plugin.enabled
