"""Nobody is left: which preference removed whom, and who would serve without it.

This is the slow path of `plan.py`, run only when every endpoint was dropped; unlike the fast one it asks every filter
about every endpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from trunkline.catalog.abilities import media_shortfall
from trunkline.catalog.entries import Endpoint
from trunkline.errors import BadRequest, ClientError, NotFound
from trunkline.protocol.extensions import bound_to_anthropic, bound_to_openai
from trunkline.protocol.places import Placed
from trunkline.protocol.request import Request
from trunkline.protocol.weighing import ASK_FOR_LESS, NEVER_LEFT_OUT, figures, rough_needs, too_long
from trunkline.routing.explanation import Explanation
from trunkline.routing.filters import Filter, exacting_media

_MOST_NAMED: Final = 8

_LIMIT: Final = "max_output_tokens"
_LISTS: Final = frozenset({"only", "ignore", "order", "allowed_providers", "ignored_providers"})
_HEADLINES: Final = {
    **dict.fromkeys(_LISTS, "No allowed providers are available for the selected model."),
    "tools": "No endpoints found that support tool use.",
    "input_modalities": "No endpoints found that support this input.",
    "input_media": "Nobody who may serve takes this part of the input in its form.",
    "openai_tools": (
        "only OpenAI's own servers know what to do with it; leave it out, or name a model that they serve."
    ),
    "anthropic_members": (
        "only Anthropic's own servers know what to do with it; leave it out, or name a model that they serve."
    ),
    "modalities": "No endpoints found that support the requested output modalities.",
    "data_collection": "No endpoints found matching your data policy (data_collection).",
    "zdr": "No endpoints found matching your data policy (zdr).",
    "web_search": (
        "Nobody can search the web as tools asks, and no search is configured in this gateway; leave the search tool "
        "out, offer it beside other tools, or name a model that searches."
    ),
    "native_search": (
        "Nobody who may serve searches the web by itself as tools asks; leave the engine out, or name a model that "
        "searches."
    ),
    "prefill": (
        "Nobody who may serve goes on with an answer that has begun: the last message of the input is the assistant's."
    ),
    "require_parameters": "No endpoints found that support every parameter of the request.",
    "max_price": "No endpoints found at or below your max_price.",
    "quantizations": "No endpoints found with the requested quantizations.",
    _LIMIT: f"No endpoints found that write as many tokens as {_LIMIT} asks for.",
}


_MAKERS: Final[Mapping[str, Callable[[Request], list[str]]]] = {
    "openai_tools": bound_to_openai,
    "anthropic_members": bound_to_anthropic,
}


class Refused(ClientError):
    """Every endpoint was dropped; `explanation` says by what."""

    explanation: Explanation


class NoEndpoint(Refused, NotFound):
    """The preferences leave nobody."""

    def __init__(self, message: str, explanation: Explanation, *, metadata: Mapping[str, object]) -> None:
        super().__init__(message, metadata=metadata)
        self.explanation = explanation


class NoContext(Refused, BadRequest):
    """The context of all who may serve is too small."""

    def __init__(self, message: str, explanation: Explanation, *, param: str, metadata: Mapping[str, object]) -> None:
        super().__init__(message, param=param, kind="context_length_exceeded", metadata=metadata)
        self.explanation = explanation


class NoMedium(Refused, BadRequest):
    """The input holds a medium in a form that nobody takes who may serve, as a `gs://` link."""

    def __init__(
        self,
        message: str,
        explanation: Explanation,
        *,
        param: str,
        kind: str | None,
        metadata: Mapping[str, object],
    ) -> None:
        super().__init__(message, param=param, kind=kind, metadata=metadata)
        self.explanation = explanation


class NoSearch(Refused, BadRequest):
    """A web search is demanded, and nobody who may serve can make it."""

    def __init__(self, message: str, explanation: Explanation, *, param: str) -> None:
        super().__init__(message, param=param)
        self.explanation = explanation


class NoPrefill(Refused, BadRequest):
    """The last message begins the answer, and nobody who may serve goes on with one."""

    def __init__(self, message: str, explanation: Explanation, *, param: str) -> None:
        super().__init__(message, param=param)
        self.explanation = explanation


class NoTool(Refused, BadRequest):
    """Nobody who may serve takes what only the servers of one maker know: a tool, an item of the input, a member."""

    def __init__(self, message: str, explanation: Explanation, *, param: str) -> None:
        super().__init__(message, param=param)
        self.explanation = explanation


class Verdict(Struct, frozen=True):
    """One endpoint and every filter that would drop it, with its reasons."""

    endpoint: Endpoint
    reasons: dict[str, str]


def refuse(
    request: Request, asked: Iterable[tuple[Sequence[Endpoint], Sequence[Filter]]], explanation: Explanation
) -> Refused:
    """Make the error for a request that nobody may serve; `asked` has the endpoints of each model and its filters.

    404, or 400 when the context of every endpoint that may serve otherwise is too small, none of them can make the web
    search that is demanded, or goes on with an answer that has begun, or a medium of the input has a form that none
    takes.
    """
    verdicts = [
        Verdict(endpoint, _reasons(endpoint, filters)) for endpoints, filters in asked for endpoint in endpoints
    ]
    fixes = _fixes(verdicts)
    message = " ".join(
        [
            _headline(explanation.models, verdicts, fixes),
            *_removals(verdicts, explanation.filters),
            *_remedies(verdicts, fixes),
        ]
    )
    # The filter has the name of the member.
    message = message.replace(_LIMIT, request.paths.spelled(_LIMIT))
    if set(fixes) in ({"web_search"}, {"native_search"}):
        return NoSearch(message, explanation, param=request.paths.spelled("tools"))
    if set(fixes) == {"prefill"}:
        return NoPrefill(message, explanation, param=request.paths.spelled("input"))
    for name, bound_of in _MAKERS.items():
        if name in fixes or (verdicts and all(name in verdict.reasons for verdict in verdicts)):
            bound = bound_of(request)
            param = bound[0].partition(" ")[0]
            return NoTool(f"{', '.join(bound)}: {message}", explanation, param=param)
    if set(fixes) == {"context_length"}:
        most = max(v.endpoint.context_tokens or 0 for v in verdicts if set(v.reasons) == {"context_length"})
        needs = rough_needs(request)
        hint = NEVER_LEFT_OUT if request.truncation == "auto" else ASK_FOR_LESS if request.paths.truncates else ""
        message = " ".join(filter(None, (too_long(most, needs), hint, message)))
        return NoContext(message, explanation, param=request.paths.spelled("input"), metadata=figures(most, needs))
    metadata = {
        "available_providers": _slugs(verdicts),
        "requested_providers": sorted({*request.provider.only, *request.provider.order}),
        "excluded_by": {
            name: _slugs(verdict for verdict in verdicts if name in verdict.reasons)
            for name in explanation.filters
            if any(name in verdict.reasons for verdict in verdicts)
        },
        "would_serve_without": {name: _slugs(found) for name, found in fixes.items()},
    }
    unheard = [verdict.endpoint for verdict in fixes.get("input_media") or verdicts if "input_media" in verdict.reasons]
    if "input_media" in fixes or (unheard and len(unheard) == len(verdicts)):
        untaken = _untaken(request, unheard)
        member = str(untaken.steps[-1])
        kind = f"invalid_{member}" if member.endswith("_url") else None
        return NoMedium(message, explanation, param=untaken.path, kind=kind, metadata=metadata)
    return NoEndpoint(message, explanation, metadata=metadata)


def _untaken(request: Request, endpoints: Sequence[Endpoint]) -> Placed:
    """The first medium that none of these endpoints takes, else of the first that the first does not."""
    placed = exacting_media(request)
    nobodys = [each for each in placed if all(media_shortfall(endpoint, each.part) for endpoint in endpoints)]
    return next(each for each in (*nobodys, *placed) if media_shortfall(endpoints[0], each.part))


def _reasons(endpoint: Endpoint, filters: Sequence[Filter]) -> dict[str, str]:
    return {each.name: reason for each in filters if (reason := each.check(endpoint)) is not None}


def _fixes(verdicts: Sequence[Verdict]) -> dict[str, list[Verdict]]:
    """The filters without which somebody would serve, and who."""
    fixes: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if len(verdict.reasons) == 1:
            fixes.setdefault(next(iter(verdict.reasons)), []).append(verdict)
    return fixes


def _headline(models: Sequence[str], verdicts: Sequence[Verdict], fixes: Mapping[str, object]) -> str:
    blamed = set(fixes) or {name for verdict in verdicts for name in verdict.reasons}
    if blamed <= _LISTS:
        return _HEADLINES["only"]
    if len(blamed) == 1:
        name = next(iter(blamed))
        if name in _HEADLINES:
            return _HEADLINES[name]
    return f"No endpoint of {', '.join(models[:_MOST_NAMED])} may serve this request."


def _removals(verdicts: Sequence[Verdict], filters: Sequence[str]) -> list[str]:
    told = []
    for name in filters:
        by_reason: dict[str, list[str]] = {}
        for verdict in verdicts:
            if name in verdict.reasons:
                by_reason.setdefault(verdict.reasons[name], []).append(_name(verdict))
        if by_reason:
            removed = "; ".join(f"{_each_of(names)} {reason}" for reason, names in by_reason.items())
            told.append(f"{name}: {removed}.")
    return told


def _remedies(verdicts: Sequence[Verdict], fixes: Mapping[str, Sequence[Verdict]]) -> list[str]:
    if fixes:
        return [f"Without {name}, {_and([_name(v) for v in found])} would serve." for name, found in fixes.items()]
    if not verdicts:
        return []
    nearest = min(verdicts, key=lambda verdict: len(verdict.reasons))
    return [f"{_name(nearest)} would serve without {_and(list(nearest.reasons))}."]


def _name(verdict: Verdict) -> str:
    return verdict.endpoint.tag or verdict.endpoint.provider.slug


def _slugs(verdicts: Iterable[Verdict]) -> list[str]:
    return sorted({verdict.endpoint.provider.slug for verdict in verdicts})


def _each_of(names: Collection[str]) -> str:
    return f"{'each of ' if len(set(names)) > 1 else ''}{_and(names)}"


def _and(names: Collection[str]) -> str:
    several = list(dict.fromkeys(names))
    if len(several) > _MOST_NAMED:
        several = [*several[:_MOST_NAMED], f"{len(several) - _MOST_NAMED} more"]
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])} and {several[-1]}"
