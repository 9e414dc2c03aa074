"""What a response says besides its output: the request echoed with real defaults, usage, error codes.

These are plain mappings; the order of things is `assemble.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from msgspec import UNSET

from trunkline.errors import GatewayError
from trunkline.faces.contract import CUT_OFF
from trunkline.money import dollars_of
from trunkline.protocol.items import InputFile, InputImage, Json, Message, OutputItem, OutputText
from trunkline.protocol.opaque import ServerTool
from trunkline.protocol.prompts import Prompt, Value
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.response import (
    NOTHING_USED,
    CostDetails,
    ErrorCode,
    InputTokensDetails,
    OutputTokensDetails,
    ReasoningEcho,
    Response,
    ResponseError,
    ResponseStatus,
    ResponseUsage,
    ToldTier,
)
from trunkline.protocol.tools import TextConfig, Tool
from trunkline.stream.deltas import Cost, ServedTier, Spent, StopReason, Usage

_ERROR_CODES: Mapping[str, ErrorCode] = {
    **{code: code for code in get_args(ErrorCode)},
    "invalid_request": "invalid_prompt",
    "context_length_exceeded": "invalid_prompt",
    # The contract has no word for the policy on texts.
    "content_policy_violation": "image_content_policy_violation",
}
"""From the kind of an error to the code of a failed response; any other kind is `server_error`."""

_PLAIN = TextConfig()
_NO_COST = Cost(total=0, input=0, output=0)
_NOT_KNOWN = Cost(total=None, input=0, output=0)

CUT_SHORT: Mapping[StopReason, Literal["max_output_tokens", "content_filter"]] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
"""From what cut an answer to the reason that an incomplete response has."""

BROKEN = ResponseError("server_error", CUT_OFF)


def echo(
    request: Request,
    response_id: str,
    created_at: float,
    model: str,
    *,
    status: ResponseStatus = "in_progress",
    completed_at: int | None = None,
    output: tuple[OutputItem, ...] = (),
    output_text: str = "",
    usage: ResponseUsage = NOTHING_USED,
    service_tier: ToldTier = "default",
) -> Response:
    """Make the response as it stands when an answer begins, or at its end, where that is known by then.

    What the client left out has its nominal default.
    """
    return Response(
        id=response_id,
        created_at=int(created_at),
        completed_at=completed_at,
        status=status,
        model=model,
        output=output,
        output_text=output_text,
        usage=usage,
        service_tier=service_tier,
        instructions=request.instructions,
        metadata=request.metadata,
        tools=_told_tools(request) if request.tools else (),
        tool_choice="auto" if request.tool_choice is None else request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls is not False,
        text=_PLAIN if request.text is None else request.text,
        reasoning=None if request.reasoning is None else _echo_reasoning(request.reasoning),
        temperature=1.0 if request.temperature is None else request.temperature,
        top_p=1.0 if request.top_p is None else request.top_p,
        presence_penalty=request.presence_penalty or 0.0,
        frequency_penalty=request.frequency_penalty or 0.0,
        top_logprobs=request.top_logprobs or 0,
        max_output_tokens=request.max_output_tokens,
        max_tool_calls=request.max_tool_calls,
        truncation=request.truncation or "disabled",
        prompt_cache_key=request.prompt_cache_key,
        safety_identifier=request.safety_identifier,
        user=request.user,
        prompt=None if request.prompt is None else _echo_prompt(request.prompt),
    )


_SECRETS = ("authorization", "headers")


def _told_tools(request: Request) -> tuple[Tool, ...]:
    """The tools as the client sent them, but for what opens its servers: answers are stored, as secrets are not."""
    if not request.has_extensions:
        return request.tools
    return tuple(
        ServerTool({name: value for name, value in tool.items() if name not in _SECRETS})
        if isinstance(tool, ServerTool)
        else tool
        for tool in request.tools
    )


def told_usage(spent: Spent | None) -> ResponseUsage:
    """Tell usage and cost as clients see them; all zeros when nothing was heard."""
    usage = Usage() if spent is None else spent.usage
    cost = _NO_COST if spent is None else spent.cost or _NOT_KNOWN
    return ResponseUsage(
        input_tokens=usage.input_tokens,
        input_tokens_details=InputTokensDetails(usage.cache_read_tokens, usage.cache_write_tokens),
        output_tokens=usage.output_tokens,
        output_tokens_details=OutputTokensDetails(usage.reasoning_tokens),
        total_tokens=usage.input_tokens + usage.output_tokens,
        cost=None if cost.total is None else dollars_of(cost.total),
        is_byok=cost.is_byok,
        cost_details=CostDetails(
            None if cost.upstream is None else dollars_of(cost.upstream),
            dollars_of(cost.input),
            dollars_of(cost.output),
        ),
    )


def told_tier(tier: ServedTier) -> ToldTier:
    """Tell the tier that an answer was served in; the contract has no word for the dearest."""
    return "priority" if tier == "ultrafast" else tier


def told_text(output: Sequence[OutputItem]) -> str:
    """Tell all text of the output at once, as clients read it that want nothing else."""
    texts = []
    for item in output:
        if type(item) is Message:
            for part in item.content:
                if type(part) is OutputText:
                    texts.append(part.text)
    return "".join(texts)


def told_error(error: GatewayError) -> ResponseError:
    """Tell an error that ends an answer already begun."""
    return ResponseError(_ERROR_CODES.get(error.kind, "server_error"), error.message)


def _echo_prompt(asked: Prompt) -> dict[str, Json]:
    """Echo the template as it was asked for, its variables in the words that a response has for them."""
    told: dict[str, Json] = {"id": asked.id}
    if asked.version is not None:
        told["version"] = asked.version
    if asked.variables:
        told["variables"] = {name: _told_value(value) for name, value in asked.variables.items()}
    return told


def _told_value(value: Value) -> Json:
    match value:
        case InputImage(detail="original"):
            return InputImage(value.image_url, "high")
        case InputFile(filename=filename, file_data=data, file_url=url):
            said = {"filename": filename, "file_data": data, "file_url": url}
            return {"type": "input_file", **{name: part for name, part in said.items() if part is not None}}
        case _:
            return value


def _echo_reasoning(asked: ReasoningConfig) -> ReasoningEcho | None:
    """Echo `effort` and `summary`, the only two settings a response has words for, and for no more than `xhigh`."""
    if asked.effort is None and asked.summary is None:
        return None
    match asked.effort:
        case "max" | "ultra":
            return ReasoningEcho("xhigh", asked.summary or UNSET)
        case effort:
            return ReasoningEcho(effort, asked.summary or UNSET)
