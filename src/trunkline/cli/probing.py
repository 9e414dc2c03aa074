"""Small real requests to one endpoint, to tell whether its key, stream, tools, schema and usage work there.

Everything goes through the adapters, credentials and transports that clients' requests go through; only routing is
left out, since there is one endpoint. Each call asks for a few tokens and costs next to nothing.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Literal, NamedTuple

from trunkline.calling import asking
from trunkline.catalog.entries import Catalog, Endpoint
from trunkline.errors import GatewayError
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionTool, JsonSchemaFormat, TextConfig
from trunkline.routing.plan import Plan
from trunkline.settings.sections import Settings
from trunkline.stream.deltas import Delta, FunctionCall, Image, Reasoning, ReasoningSummary, Spent, Text
from trunkline.upstream.asking import Upstream
from trunkline.upstream.attempts import Run
from trunkline.wire import Fault

Works = Literal["yes", "no", "unclear"]

FEW_TOKENS = 16
"""The least that every provider takes."""

SOME_TOKENS = 256
"""Room for a call or a small object, and for the thought before it."""

DEADLINE_S = 60.0


class Finding(NamedTuple):
    """What one call showed."""

    what: str
    works: Works
    detail: str


class Heard(NamedTuple):
    """What came back for one request: deltas with the seconds after which they came, and why they broke off."""

    batches: Sequence[tuple[float, Sequence[Delta]]]
    dropped: tuple[str, ...]
    error: str | None = None

    @property
    def deltas(self) -> Iterator[Delta]:
        return (delta for _, batch in self.batches for delta in batch)

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, Text))


def told(fault: Fault) -> str:
    """Say for the operator how an exchange failed: the machine and the cause, or the status and what was said."""
    if fault.status is None:
        return fault.detail or fault.message
    said = f"the key is refused: {fault.message}" if fault.kind == "credentials" else fault.message
    return f"{fault.status}: {said}"


async def probe_with(settings: Settings, catalog: Catalog, endpoint: Endpoint) -> list[Finding]:
    """Try an endpoint out with what these settings ask providers with."""
    async with asking(settings, catalog) as upstream:
        return await probe(endpoint, upstream)


async def probe(endpoint: Endpoint, upstream: Upstream, clock: Callable[[], float] = time.monotonic) -> list[Finding]:
    """Ask four times, at once only if the key works; a failing provider is a finding, never an exception."""
    plain = await _ask(endpoint, upstream, clock, Request(input=_said("Say hi."), max_output_tokens=FEW_TOKENS))
    key = _key(plain)
    if key.works == "no":
        return [key]
    streamed = await _ask(
        endpoint, upstream, clock, Request(input=_said("Say hi."), max_output_tokens=FEW_TOKENS, stream=True)
    )
    called = await _ask(
        endpoint,
        upstream,
        clock,
        Request(
            input=_said("Note the word hi."), tools=(_TOOL,), tool_choice="required", max_output_tokens=SOME_TOKENS
        ),
    )
    shaped = await _ask(
        endpoint,
        upstream,
        clock,
        Request(input=_said("Say hi in JSON."), text=TextConfig(format=_SCHEMA), max_output_tokens=SOME_TOKENS),
    )
    return [key, _streaming(streamed), _tools(called), _schema(shaped), _usage(plain, streamed), *_tags(plain, called)]


_OBJECT: dict[str, Any] = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
_TOOL = FunctionTool(name="note", description="Notes a word.", parameters=_OBJECT)
_SCHEMA = JsonSchemaFormat(name="word", schema=_OBJECT, strict=True)


def _said(text: str) -> tuple[Message, ...]:
    return (Message(role="user", content=(InputText(text=text),)),)


async def _ask(endpoint: Endpoint, upstream: Upstream, clock: Callable[[], float], request: Request) -> Heard:
    begun = clock()
    run = Run(upstream, Plan(attempts=(endpoint,), max_attempts=1), request, begun + DEADLINE_S)
    batches: list[tuple[float, Sequence[Delta]]] = []
    try:
        async with aclosing(run.deltas()) as heard:
            async for batch in heard:
                batches.append((clock() - begun, tuple(batch)))
    except GatewayError as error:
        return Heard(batches, run.dropped, told(run.attempted[-1].fault) if run.attempted else error.message)
    return Heard(batches, run.dropped)


def _key(plain: Heard) -> Finding:
    if plain.error is not None:
        return Finding("key", "no", plain.error)
    return Finding("key", "yes", f"answered in {plain.batches[-1][0] * 1000:.0f} ms" if plain.batches else "answered")


def _streaming(streamed: Heard) -> Finding:
    if streamed.error is not None:
        return Finding("streaming", "no", streamed.error)
    visible = (Text, Reasoning, ReasoningSummary, Image, FunctionCall)
    pieces = sum(isinstance(delta, visible) for delta in streamed.deltas)
    first = streamed.batches[0][0] * 1000 if streamed.batches else 0
    return Finding("streaming", "yes" if pieces else "unclear", f"{pieces} pieces, the first after {first:.0f} ms")


def _tools(called: Heard) -> Finding:
    if called.error is not None:
        return Finding("tools", "no", called.error)
    names = [delta.name for delta in called.deltas if isinstance(delta, FunctionCall)]
    if "note" in names:
        return Finding("tools", "yes", "called its tool" + _left_out(called))
    return Finding("tools", "unclear", "answered without calling the tool it was told to call" + _left_out(called))


def _schema(shaped: Heard) -> Finding:
    if shaped.error is not None:
        return Finding("schema", "no", shaped.error)
    try:
        answer = json.loads(shaped.text)
    except ValueError:
        return Finding("schema", "unclear", f"answered {shaped.text[:40]!r}, which is no JSON" + _left_out(shaped))
    is_held = isinstance(answer, dict) and set(answer) == {"word"} and isinstance(answer["word"], str)
    return Finding("schema", "yes" if is_held else "no", ("kept" if is_held else "broken") + _left_out(shaped))


def _usage(plain: Heard, streamed: Heard) -> Finding:
    counts = [
        next((delta.usage for delta in reversed(list(heard.deltas)) if isinstance(delta, Spent)), None)
        for heard in (plain, streamed)
    ]
    told = [f"{usage.input_tokens} in, {usage.output_tokens} out" if usage else "nothing" for usage in counts]
    works: Works = "yes" if all(counts) else "unclear" if any(counts) else "no"
    return Finding("usage", works, f"whole: {told[0]}; streamed: {told[1]}")


_TAG = re.compile(r"\s*<([\w:.-]*think\w*)>")


def _tags(*answers: Heard) -> list[Finding]:
    """Thought that comes in tags inside the text, as from a server without a parser for its model."""
    for heard in answers:
        if found := _TAG.match(heard.text):
            name = found[1]
            wanted = 'think_tags = "tagged"' + ("" if name == "think" else f', think_tag = "{name}"')
            return [Finding("thought", "no", f"comes in the text, in <{name}>; set quirks = {{ {wanted} }}")]
    return []


def _left_out(heard: Heard) -> str:
    return f"; left out: {', '.join(heard.dropped)}" if heard.dropped else ""
