"""What a user does with OpenAI's client for Python at Chat Completions."""

from __future__ import annotations

import json
from typing import Any

from openai import APIStatusError, OpenAI
from pydantic import BaseModel
from telling import Place, tell

TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class Weather(BaseModel):
    city: str
    degrees: int


def client(place: Place) -> OpenAI:
    return OpenAI(base_url=f"{place.url}/v1", api_key=place.key, max_retries=0)


def plain(place: Place) -> object:
    answer = client(place).chat.completions.create(
        model=place.model, messages=[{"role": "user", "content": place.nonce}]
    )
    assert answer.usage is not None
    assert answer.usage.prompt_tokens > 0
    return answer.choices[0].message.content


def stream(place: Place) -> object:
    """As most programs do it: the pieces themselves, and the usage asked for."""
    chunks = client(place).chat.completions.create(
        model=place.model,
        messages=[{"role": "user", "content": place.nonce}],
        stream=True,
        stream_options={"include_usage": True},
    )
    pieces, usages = [], []
    for chunk in chunks:
        pieces += [choice.delta.content for choice in chunk.choices if choice.delta.content]
        usages += [chunk.usage] if chunk.usage else []
    assert len(pieces) > 1
    assert [usage.completion_tokens > 0 for usage in usages] == [True]
    return "".join(pieces)


def streamed_parse(place: Place) -> object:
    """By the helper of the client, which asks for no usage."""
    asked: Any = [{"role": "user", "content": place.nonce}]
    with client(place).chat.completions.stream(model=place.model, messages=asked, response_format=Weather) as events:
        for _ in events:
            pass
        found = events.get_final_completion().choices[0].message.parsed
    assert isinstance(found, Weather)
    return found.model_dump()


def tools(place: Place) -> object:
    messages: list[Any] = [{"role": "user", "content": f"Compare Oslo and Bergen. {place.nonce}"}]
    first = _loop(place, messages)
    messages.append({"role": "user", "content": "And where should I go?"})
    return [first, _loop(place, messages)]


def _loop(place: Place, messages: list[Any]) -> object:
    while True:
        answer = client(place).chat.completions.create(
            model=place.model, messages=messages, tools=[TOOL], reasoning_effort="medium"
        )
        said = answer.choices[0].message
        messages.append(said.model_dump(exclude_none=True))
        if not said.tool_calls:
            return said.content
        for call in said.tool_calls:
            assert call.type == "function"
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"Rain in {city}"})


def parse(place: Place) -> object:
    answer = client(place).chat.completions.parse(
        model=place.model, messages=[{"role": "user", "content": place.nonce}], response_format=Weather
    )
    found = answer.choices[0].message.parsed
    assert isinstance(found, Weather)
    return found.model_dump()


def error(place: Place) -> object:
    try:
        client(place).chat.completions.create(
            model="no/such-model", messages=[{"role": "user", "content": place.nonce}]
        )
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, error.code, "no/such-model" in error.message]
    return None


def models(place: Place) -> object:
    return place.model in [model.id for model in client(place).models.list()]


if __name__ == "__main__":
    uses = (plain, stream, streamed_parse, tools, parse, error, models)
    tell({"openai-python": {use.__name__: use for use in uses}})
