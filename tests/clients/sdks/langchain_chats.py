"""What a user does with LangChain's chat models."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from telling import Place, tell

Make = Callable[[Place], Any]


class Weather(BaseModel):
    """The weather of a city."""

    city: str
    degrees: int


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"Rain in {city}"


GET_WEATHER = tool(get_weather)


def openai(place: Place) -> Any:
    from langchain_openai import ChatOpenAI

    return ChatOpenAI(base_url=f"{place.url}/v1", api_key=place.key, model=place.model, max_retries=0)


def anthropic(place: Place) -> Any:
    from langchain_anthropic import ChatAnthropic

    thinking = {"type": "enabled", "budget_tokens": 2000}
    # It warns of a model that it does not know, and takes 4096 tokens for it.
    return ChatAnthropic(
        base_url=place.url,
        api_key=place.key,
        model=place.model,
        max_tokens=4000,
        max_retries=0,
        thinking=thinking if place.nonce.endswith("tools") else None,
    )


def openrouter(place: Place) -> Any:
    from langchain_openrouter import ChatOpenRouter

    return ChatOpenRouter(
        base_url=f"{place.url}/v1",
        api_key=place.key,
        model=place.model,
        max_retries=0,
        reasoning={"effort": "medium"} if place.nonce.endswith("tools") else None,
    )


def plain(make: Make, place: Place) -> object:
    answer = make(place).invoke(place.nonce)
    assert answer.usage_metadata["input_tokens"] > 0
    return answer.text


def stream(make: Make, place: Place) -> object:
    pieces = list(make(place).stream(place.nonce))
    assert len([piece for piece in pieces if piece.text]) > 1
    whole = pieces[0]
    for piece in pieces[1:]:
        whole += piece
    return whole.text


def tools(make: Make, place: Place) -> object:
    model = make(place).bind_tools([GET_WEATHER])
    messages: list[Any] = [HumanMessage(f"Compare Oslo and Bergen. {place.nonce}")]
    first = _loop(model, messages)
    messages.append(HumanMessage("And where should I go?"))
    return [first, _loop(model, messages)]


def _loop(model: Any, messages: list[Any]) -> str:
    while True:
        said = model.invoke(messages)
        messages.append(said)
        if not said.tool_calls:
            return str(said.text)
        messages += [GET_WEATHER.invoke(call) for call in said.tool_calls]


def parse(make: Make, place: Place) -> object:
    found = make(place).with_structured_output(Weather, method="json_schema").invoke(place.nonce)
    assert isinstance(found, Weather)
    return found.model_dump()


def error(make: Make, place: Place) -> object:
    elsewhere = Place(place.url, place.key, "no/such-model", place.nonce)
    try:
        make(elsewhere).invoke(place.nonce)
    except Exception as error:
        return [getattr(error, "status_code", None), "no/such-model" in str(error)]
    return None


if __name__ == "__main__":
    makers = {"langchain-openai": openai, "langchain-anthropic": anthropic, "langchain-openrouter": openrouter}
    uses = (plain, stream, tools, parse, error)
    tell({name: {use.__name__: partial(use, make) for use in uses} for name, make in makers.items()})
