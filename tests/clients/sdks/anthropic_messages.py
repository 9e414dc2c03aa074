"""What a user does with Anthropic's client for Python."""

from __future__ import annotations

from typing import Any

from anthropic import Anthropic, APIStatusError
from pydantic import BaseModel
from telling import Place, tell

TOOL: Any = {
    "name": "get_weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
THINKING: Any = {"type": "enabled", "budget_tokens": 2000}
SEARCH: Any = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}


class Weather(BaseModel):
    city: str
    degrees: int


def client(place: Place) -> Anthropic:
    return Anthropic(base_url=place.url, auth_token=place.key, max_retries=0)


def plain(place: Place) -> object:
    answer = client(place).messages.create(
        model=place.model, max_tokens=4000, messages=[{"role": "user", "content": place.nonce}]
    )
    assert answer.model == place.model
    assert answer.usage.input_tokens > 0
    return "".join(block.text for block in answer.content if block.type == "text")


def stream(place: Place) -> object:
    asked: Any = [{"role": "user", "content": place.nonce}]
    with client(place).messages.stream(model=place.model, max_tokens=4000, messages=asked) as events:
        pieces = list(events.text_stream)
        final = events.get_final_message()
    assert len(pieces) > 1
    assert final.usage.output_tokens > 0
    assert final.stop_reason == "end_turn"
    return "".join(pieces)


def tools(place: Place) -> object:
    messages: list[Any] = [{"role": "user", "content": f"Compare Oslo and Bergen. {place.nonce}"}]
    first = _loop(place, messages)
    messages.append({"role": "user", "content": "And where should I go?"})
    return [first, _loop(place, messages)]


def _loop(place: Place, messages: list[Any]) -> str:
    while True:
        answer = client(place).messages.create(
            model=place.model, max_tokens=4000, thinking=THINKING, tools=[TOOL], messages=messages
        )
        messages.append({"role": "assistant", "content": answer.content})
        calls: list[Any] = [block for block in answer.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in answer.content if block.type == "text")
        results = [{"type": "tool_result", "tool_use_id": c.id, "content": f"Rain in {c.input['city']}"} for c in calls]
        messages.append({"role": "user", "content": results})


def parse(place: Place) -> object:
    answer = client(place).messages.parse(
        model=place.model,
        max_tokens=4000,
        messages=[{"role": "user", "content": place.nonce}],
        output_format=Weather,
    )
    assert isinstance(answer.parsed_output, Weather)
    return answer.parsed_output.model_dump()


def search(place: Place) -> object:
    answer = client(place).messages.create(
        model=place.model, max_tokens=4000, tools=[SEARCH], messages=[{"role": "user", "content": place.nonce}]
    )
    (found,) = (block for block in answer.content if block.type == "web_search_tool_result")
    assert isinstance(found.content, list)
    return [page.url for page in found.content]


def error(place: Place) -> object:
    try:
        client(place).messages.create(
            model="no/such-model", max_tokens=4000, messages=[{"role": "user", "content": place.nonce}]
        )
    except APIStatusError as error:
        return [type(error).__name__, error.status_code, "no/such-model" in error.message]
    return None


def count(place: Place) -> object:
    asked: Any = [{"role": "user", "content": place.nonce}]
    return client(place).messages.count_tokens(model=place.model, messages=asked).input_tokens > 0


def models(place: Place) -> object:
    return place.model in [model.id for model in client(place).models.list(limit=1000)]


if __name__ == "__main__":
    uses = (plain, stream, tools, parse, search, error, count, models)
    tell({"anthropic-python": {use.__name__: use for use in uses}})
