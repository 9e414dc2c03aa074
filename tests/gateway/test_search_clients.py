"""Public clients, unchanged, read answers with a search: the item with its action, the sources, the citations.

`openai`, `openrouter` and the AI SDK's `webSearch`, streamed and whole, at each who searches.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.clients.running import run
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.searches import FOUND, SEARCHED, Searched
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream, whole
from tests.npm import AI_SDK
from trunkline.protocol.tools import SearchToolType

SOURCES: Any = ["web_search_call.action.sources"]
TOOLS: Any = [{"type": "web_search"}]
BY_ENGINE = [who for who in SEARCHED if who.turns is not None]
each_who_searches = pytest.mark.parametrize("who", SEARCHED, ids=lambda who: who.id)
either = pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG
    for who in SEARCHED:
        if who.whole is not None or who.turns is not None:
            config += PROVIDER.format(name=who.id, dialect=who.dialect, url=f"{upstream.url}/{who.id}/v1")
            config += ENDPOINT.format(provider=who.id, model=f"search/{who.id}") + f"quirks = {{ {who.quirks} }}\n"
    config += f'[search.exa]\nkind = "exa"\nbase_url = "{upstream.url}/exa"\napi_key = {{ env = "MOCK_KEY" }}\n'
    with running(tmp_path_factory.mktemp("searched"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def model_of(who: Searched) -> str:
    return "fake/search" if who.dialect == "fake" else f"search/{who.id}"


def words(who: Searched, upstream: Upstream, nonce: str, *, streams: bool) -> str:
    """What to ask so that this comes of it."""
    if who.turns is not None:
        upstream.play(nonce, *who.turns(f"{who.query} {nonce}", streams), host=who.id)
        upstream.play(nonce, whole(FOUND), host="exa")
        return nonce
    if who.streamed is None:
        return who.query
    upstream.play(nonce, who.streamed if streams else whole(who.whole))
    return nonce


def check(who: Searched, output: list[dict[str, Any]], *, has_sources: bool) -> None:
    """Check the items of an answer, as a client has read them."""
    (search,) = [item for item in output if item["type"] == "web_search_call"]
    action = search["action"]
    assert (search["status"], action["type"]) == ("completed", "search")
    assert action["query"].partition(" nonce")[0] == who.query
    assert action["queries"] == ([action["query"]] if who.query else [])
    sources = [source["url"] for source in action.get("sources") or ()]
    assert sources == (list(who.sources) if has_sources else [])
    (part,) = [part for item in output if item["type"] == "message" for part in item["content"]]
    assert part["text"] == who.text
    notes = [note for note in part["annotations"] if note["type"] == "url_citation"]
    cited = [(part["text"][int(note["start_index"]) : int(note["end_index"])], note["url"]) for note in notes]
    assert cited == list(who.cited)
    assert all(note["title"] for note in notes)


@either
@each_who_searches
def test_the_openai_sdk(who: Searched, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    asked = {"model": model_of(who), "input": words(who, upstream, nonce, streams=streams)}
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as client:
        if not streams:
            answer = client.responses.create(**asked, tools=TOOLS, include=SOURCES)
        else:
            with client.responses.stream(**asked, tools=TOOLS, include=SOURCES) as events:
                seen = list(events)
                answer = events.get_final_response()
            (added,) = [e for e in seen if e.type == "response.output_item.added" and e.item.type == "web_search_call"]
            assert added.item.to_dict()["action"]["type"] == "search"
            notes = [e for e in seen if e.type == "response.output_text.annotation.added"]
            assert len(notes) == len(who.cited)
    check(who, [item.to_dict() for item in answer.output], has_sources=True)


WAYS: dict[str, dict[str, Any]] = {
    **{name: {"tools": [{"type": name}]} for name in get_args(SearchToolType)},
    "a plugin": {"extra_body": {"plugins": [{"id": "web"}]}},
    ":online": {},
}


@either
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("who", BY_ENGINE, ids=lambda who: who.id)
def test_each_way_to_ask_for_a_search(
    who: Searched, way: str, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    assert who.turns is not None
    is_offered = "tools" in WAYS[way]
    turns = who.turns(f"{who.query} {nonce}", streams)
    # Without a tool the gateway searches once, for the user's words, and the model says all in one turn.
    upstream.play(nonce, *turns[0 if is_offered else 1 :], host=who.id)
    upstream.play(nonce, whole(FOUND), host="exa")
    asked = {"model": model_of(who) + (way if way == ":online" else ""), "input": f"{who.query} {nonce}"}
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as client:
        if streams:
            with client.responses.stream(**asked, **WAYS[way], include=SOURCES) as events:
                answer = events.get_final_response()
        else:
            answer = client.responses.create(**asked, **WAYS[way], include=SOURCES)
    check(who, [item.to_dict() for item in answer.output], has_sources=True)


@either
@pytest.mark.parametrize("way", ["a plugin", ":online"])
def test_a_search_before_the_fake_provider_is_asked(
    way: str, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(FOUND), host="exa")
    page = FOUND["results"][0]["url"]
    text = f"See [Kites]({page}), {nonce}."  # which it says again
    asked = {"model": "fake/echo" + (way if way == ":online" else ""), "input": text}
    with OpenAI(base_url=gateway.url + "/api/v1", api_key=KEY, max_retries=0) as client:
        if streams:
            with client.responses.stream(**asked, **WAYS[way], include=SOURCES) as events:
                answer = events.get_final_response()
        else:
            answer = client.responses.create(**asked, **WAYS[way], include=SOURCES)
    who = replace(BY_ENGINE[0], query=text.partition(" nonce")[0], text=text, cited=((f"[Kites]({page})", page),))
    check(who, [item.to_dict() for item in answer.output], has_sources=True)


@either
@each_who_searches
def test_the_openrouter_sdk(who: Searched, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    asked: Any = {"model": model_of(who), "input": words(who, upstream, nonce, streams=streams), "tools": TOOLS}
    with OpenRouter(api_key=KEY, server_url=gateway.url + "/api/v1") as client:
        if streams:
            with client.beta.responses.send(**asked, stream=True) as events:
                seen = [event.model_dump() for event in events]
            output = seen[-1]["response"]["output"]
            added = [event["item"] for event in seen if event["type"] == "response.output_item.added"]
            assert [item["type"] for item in added] == [item["type"] for item in output]
        else:
            output = client.beta.responses.send(**asked).model_dump()["output"]
    # Of this SDK's own types the item has no action, which is passed over; the text and its citations are there.
    (search,) = [item for item in output if item["type"] == "web_search_call"]
    check(who, [{**search, **_action(who)} if item is search else item for item in output], has_sources=False)


def _action(who: Searched) -> dict[str, Any]:
    return {"action": {"type": "search", "query": who.query, "queries": [who.query] if who.query else []}}


PROGRAM = """
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const [url, key, asked] = [process.argv[2], process.argv[3], JSON.parse(process.argv[4])];
const provider = createOpenAI({ baseURL: url, apiKey: key });
const told = {};
for (const [id, model, whole, streamed] of asked) {
  const tools = { web_search: provider.tools.webSearch({}) };
  const one = await generateText({ model: provider.responses(model), tools, prompt: whole });
  const stream = streamText({ model: provider.responses(model), tools, prompt: streamed });
  const errors = [];
  for await (const part of stream.fullStream) if (part.type === "error") errors.push(String(part.error));
  const two = { text: await stream.text, sources: await stream.sources, errors };
  two.toolResults = await stream.toolResults;
  two.finishReason = await stream.finishReason;
  told[id] = [one, two].map((each) => ({
    text: each.text,
    sources: each.sources.map((source) => [source.url, source.title]),
    results: each.toolResults.map((result) => result.output),
    finish: each.finishReason,
    errors: each.errors ?? [],
  }));
}
console.log(JSON.stringify(told));
"""


@pytest.fixture(scope="module")
def read_by_ai_sdk(gateway: Gateway, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the AI SDK reads of each answer, whole and streamed, in one process."""
    if reason := AI_SDK.absence():
        (pytest.fail if os.environ.get("CI") and shutil.which("npm") else pytest.skip)(reason)
    folder = tmp_path_factory.mktemp("ai-sdk")
    (folder / "node_modules").symlink_to(AI_SDK.folder / "node_modules")
    Path(folder / "program.mjs").write_text(PROGRAM)
    asked = [
        [
            who.id,
            model_of(who),
            words(who, upstream, f"nonce-whole-{who.id}-", streams=False),
            words(who, upstream, f"nonce-streamed-{who.id}-", streams=True),
        ]
        for who in SEARCHED
    ]
    ran = run(["node", "program.mjs", gateway.url + "/api/v1", KEY, json.dumps(asked)], folder)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@either
@each_who_searches
def test_the_ai_sdk(who: Searched, streams: bool, read_by_ai_sdk: Any) -> None:
    told = read_by_ai_sdk[who.id][streams]
    assert (told["text"], told["finish"], told["errors"]) == (who.text, "stop", [])
    # It shows each page that was found or cited as a source, once, in the order in which it hears of them.
    assert sorted(url for url, _ in told["sources"]) == sorted({*who.sources, *(url for _, url in who.cited)})
    (result,) = told["results"]
    assert result["action"]["type"] == "search"
    assert result["action"].get("query", "").partition(" nonce")[0] == who.query
    assert [source["url"] for source in result["sources"]] == list(who.sources)
