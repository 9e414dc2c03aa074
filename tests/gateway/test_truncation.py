"""Histories that fit, in every dialect: what an endpoint is told of a long one, what is told of that, and refusals."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from openrouter import OpenRouter

from tests.gateway.called import DIALECTS
from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.histories import check_legal, readings
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.speech import SPEECHES
from tests.gateway.tenants import Store
from tests.gateway.test_fault_words import error_in
from tests.gateway.test_healing import ENDS
from tests.gateway.test_wire_requests import WHOLE
from tests.gateway.upstream import Script, Upstream, completion, stream, whole
from tests.gateway.waiting import eventually
from trunkline.stream.seals import Seal, seal

Json = Any

CONTEXT = 32_768
ENDPOINT = """
[[endpoints]]
provider = "{provider}"
model = "{model}"
upstream_model = "{upstream}"
price = {{ input = "1", output = "2" }}
{more}
"""
QUIRKS = {
    "messages": 'reasoning_format = "anthropic-claude-v1"',
    "converse": 'reasoning_format = "anthropic-claude-v1"',
    "gemini": 'reasoning_format = "google-gemini-v1", reasoning_replay_is_required = true',
    "responses": 'reasoning_format = "openai-responses-v1"',
    "chat": 'reasoning_replay = "reasoning_details"',
}
FORMS = {
    "messages": "anthropic-claude-v1",
    "converse": "anthropic-claude-v1",
    "gemini": "google-gemini-v1",
    "responses": "openai-responses-v1",
    "openai": "openai-responses-v1",
}
SIZES = {"narrow": 8_192, "wide": 65_536, "small": 2_048}
_numbers = itertools.count()


def endpoint(provider: str, model: str, context: int | None, *, quirks: str = "", upstream: str = "gpt-x") -> str:
    more = "" if context is None else f"context_tokens = {context}\n"
    more += f"quirks = {{ {quirks} }}\n" if quirks else ""
    return ENDPOINT.format(provider=provider, model=model, upstream=upstream, more=more)


@pytest.fixture(scope="module")
def house(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A model `long/<dialect>` with a context of 32k for each, some at providers with other contexts, and a search."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"mock-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += endpoint(f"mock-{dialect}", f"long/{dialect}", CONTEXT, quirks=QUIRKS.get(dialect, ""))
    for name, context in SIZES.items():
        config += PROVIDER.format(name=f"mock-{name}", dialect="chat", url=f"{upstream.url}/{name}/v1")
        for model in {"narrow": ("two",), "wide": ("two", "unalike"), "small": ("unalike", "small")}[name]:
            config += endpoint(f"mock-{name}", f"long/{model}", context)
    config += PROVIDER.format(name="mock-openai", dialect="responses", url=f"{upstream.url}/openai/v1")
    config += endpoint("mock-openai", "long/openai", CONTEXT, quirks=f"has_openai_tools = true, {QUIRKS['responses']}")
    config += endpoint("mock-chat", "long/unknown", None)
    config += endpoint("fake-provider", "long/fake", CONTEXT, upstream="echo")
    config += f'[search.exa]\nkind = "exa"\nbase_url = "{upstream.url}/exa"\napi_key = {{ env = "MOCK_KEY" }}\n'
    folder = tmp_path_factory.mktemp("truncation")
    with running(folder, config, is_measured=True, MOCK_KEY=PROVIDER_KEY) as gateway:
        yield gateway


@pytest.fixture
def mark() -> str:
    return f"nonce-long-{next(_numbers)}"


# Histories

TOOLS: list[Json] = [
    {"type": "function", "name": "look", "parameters": {"type": "object"}},
    {"type": "custom", "name": "apply_patch", "description": "Edits files."},
]
RULES = {"role": "developer", "content": "Keep the tests green."}


def user(text: str) -> Json:
    return {"role": "user", "content": text}


def said(text: str) -> Json:
    return {"role": "assistant", "content": text}


def thought(dialect: str, number: int) -> Json:
    """What the endpoint of a dialect thought, with its proof as this gateway seals it."""
    text = f"Thought {number}. " + "I look first. " * 12
    item = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": text}]}
    if dialect == "cohere":
        return item
    form = FORMS.get(dialect, "")
    proof, is_blob = f"proof-{number}-" + "p" * 200, dialect in ("responses", "openai", "chat")
    blob, signature = (proof, "") if is_blob else ("", proof)
    packed = base64.b64encode(text.encode()).decode()
    endpoint_id = f"mock-{dialect}:long/{dialect}"
    origin = Seal(endpoint_id=endpoint_id, blob=blob, signature=signature, form=form, packed=packed)
    return {**item, "encrypted_content": seal(origin)} | ({"format": form} if form else {})


def round_of(dialect: str, number: int) -> list[Json]:
    """A thought, calls of which every third round has two at once and every fifth a custom one, and their results."""
    calls: list[Json] = []
    results: list[Json] = []
    for place in range(2 if number % 3 == 0 else 1):
        call_id = f"call_{number}_{place}"
        if number % 5 == 0 and place == 0:
            calls.append({"type": "custom_tool_call", "call_id": call_id, "name": "apply_patch", "input": "*** End"})
            results.append({"type": "custom_tool_call_output", "call_id": call_id, "output": f"Done {number}. " * 30})
        else:
            calls.append({"type": "function_call", "call_id": call_id, "name": "look", "arguments": '{"at": 1}'})
            results.append({"type": "function_call_output", "call_id": call_id, "output": f"Line {number} " * 60})
    return [thought(dialect, number), *calls, *reversed(results)]


def many_turns(dialect: str, mark: str, count: int = 300) -> list[Json]:
    """A conversation in which each turn calls, and is answered."""
    items: list[Json] = [RULES]
    for number in range(count):
        items += [user(f"Step {number} please."), *round_of(dialect, number), said(f"Step {number} is done.")]
    return [*items, user(f"And now the last, {mark}?"), *round_of(dialect, count)]


def one_turn(dialect: str, mark: str, count: int = 300) -> list[Json]:
    """One task, and all the rounds of an agent at it."""
    rounds = [item for number in range(count) for item in round_of(dialect, number)]
    return [RULES, user(f"Mend it all, {mark}."), *rounds]


HISTORIES = {"300 turns": many_turns, "one turn of 300 rounds": one_turn}


def ask(model: str, items: list[Json], **more: Json) -> Json:
    given = {"truncation": "auto", "instructions": "You are an agent.", "tools": TOOLS, **more}
    return {"model": model, "input": items, **given}


def dropped(reply: Reply) -> dict[str, str]:
    named = reply.headers.get("x-trunkline-dropped", "")
    return dict(name.partition("=")[::2] for name in named.split(", ") if name)


def record_of(house: Gateway, reply: Reply) -> Json:
    path = f"/api/v1/generation?id={reply.headers['x-generation-id']}"

    def found() -> Json:
        told = house.request("GET", path, headers={"authorization": f"Bearer {KEY}"})
        return told.json["data"] if told.status == 200 else None

    eventually(lambda: found() is not None, "there is no record")
    return found()


# What vendors refuse


def check_rules(dialect: str, body: Json) -> None:
    """Check the rules that `check_legal` does not know: a thought stands where its vendor wants it."""
    check_legal(dialect, body)
    match dialect:
        case "messages":
            assert body["thinking"]["type"] == "enabled"
            for message in body["messages"]:
                kinds = [block["type"] for block in message["content"]]
                assert "tool_use" not in kinds or kinds[0] == "thinking"
        case "converse":
            assert body["additionalModelRequestFields"]["thinking"]["type"] == "enabled"
            for message in body["messages"]:
                kinds = [next(iter(block)) for block in message["content"]]
                assert "toolUse" not in kinds or kinds[0] == "reasoningContent"
        case "gemini":
            for before, content in itertools.pairwise(body["contents"]):
                calls = [part for part in content["parts"] if "functionCall" in part]
                assert not calls or before["role"] == "user"
                assert not calls or calls[0]["thoughtSignature"].startswith("proof-")
        case "responses":
            for item, behind in itertools.pairwise(body["input"]):
                assert item["type"] != "reasoning" or behind["type"] in ("function_call", "custom_tool_call", "message")
        case "chat":
            calling = [message for message in body["messages"] if message.get("tool_calls")]
            assert all(message["reasoning_details"] for message in calling)
        case _:
            pass


def texts_of(body: Json) -> str:
    return json.dumps(body, ensure_ascii=False)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("history", HISTORIES)
def test_a_long_history_fits_and_is_legal(
    history: str, dialect: str, house: Gateway, upstream: Upstream, mark: str
) -> None:
    items = HISTORIES[history](dialect, mark)
    upstream.play(mark, whole(WHOLE[dialect]))
    asked = ask(f"long/{dialect}", items, reasoning={"effort": "high"})
    reply = house.call(asked)
    assert response_of(reply)["truncation"] == "auto"
    (seen,) = upstream.seen(mark)
    check_rules(dialect, seen.json)
    told = texts_of(seen.json)
    # Most of the room is used, and what is in it is the end.
    assert 2 * CONTEXT < len(seen.body) < 6 * CONTEXT
    assert "You are an agent." in told
    assert "Keep the tests green." in told
    assert mark in told
    assert "Line 299 " in told
    assert "Line 1 " not in told
    assert len([heard for heard in readings(dialect, seen.json) if heard.kind == "call"]) > 50
    note = record_of(house, reply)["plugins"]["truncation"]
    name = "input.turns" if history == "300 turns" else "input.rounds"
    assert dropped(reply)[name] == str(note[f"dropped_{name.partition('.')[2]}"])
    assert 0 < note["estimate"] <= CONTEXT * 7 // 8
    assert note["context_tokens"] == CONTEXT
    assert note["dropped_items"] > 300


def test_the_oldest_are_left_out_and_all_else_is_told_as_it_came(house: Gateway, upstream: Upstream, mark: str) -> None:
    items = many_turns("chat", mark)
    upstream.play(mark, whole(completion()))
    reply = house.call(ask("long/chat", items))
    (seen,) = upstream.seen(mark)
    steps = [heard.told for heard in readings("chat", seen.json) if heard.kind == "user"]
    first = int(dropped(reply)["input.turns"])
    assert steps == [*(f"Step {number} please." for number in range(first, 300)), f"And now the last, {mark}?"]


@pytest.mark.parametrize("truncation", ["auto", "disabled", None])
def test_what_fits_is_told_whole(truncation: str | None, house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(completion()))
    reply = house.call(ask("long/chat", many_turns("chat", mark, 20), truncation=truncation))
    response_of(reply)
    (seen,) = upstream.seen(mark)
    assert len([heard for heard in readings("chat", seen.json) if heard.kind == "user"]) == 21
    assert dropped(reply) == {}
    assert "truncation" not in (record_of(house, reply)["plugins"] or {})


# Clients


def answer(dialect: str, is_stream: bool) -> Script:
    if not is_stream:
        return whole(WHOLE[dialect])
    return SPEECHES[dialect].script(["Hello."], rest=ENDS[dialect]["stop"])


CLIENTS = ["long/fake", "long/chat", "long/messages"]


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", CLIENTS)
def test_the_openai_client(model: str, is_stream: bool, house: Gateway, upstream: Upstream, mark: str) -> None:
    dialect = model.rpartition("/")[2]
    if dialect != "fake":
        upstream.play(mark, answer(dialect, is_stream))
    items = many_turns(dialect, mark, 299)[:-3]
    with OpenAI(api_key=KEY, base_url=f"{house.url}/api/v1", max_retries=0) as client:
        if is_stream:
            events = list(
                client.responses.create(model=model, input=items, tools=TOOLS, truncation="auto", stream=True)
            )
            assert events[-1].type == "response.completed"
            response = events[-1].response
        else:
            response = client.responses.create(model=model, input=items, tools=TOOLS, truncation="auto")
    assert response.truncation == "auto"
    assert response.output
    if dialect != "fake":
        (seen,) = upstream.seen(mark)
        check_legal(dialect, seen.json)
        assert len(seen.body) < 6 * CONTEXT


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", CLIENTS)
def test_the_openrouter_client(model: str, is_stream: bool, house: Gateway, upstream: Upstream, mark: str) -> None:
    dialect = model.rpartition("/")[2]
    if dialect != "fake":
        upstream.play(mark, answer(dialect, is_stream))
    items = [{"type": "message", **user(f"{'Words ' * 500}{number}")} for number in range(60)]
    items.append({"type": "message", **user(f"The last, {mark}?")})
    with OpenRouter(api_key=KEY, server_url=house.url + "/api/v1") as client:
        if is_stream:
            with client.beta.responses.send(model=model, input=items, truncation="auto", stream=True) as events:
                seen_events = list(events)
            assert seen_events[-1].type == "response.completed"
        else:
            response = client.beta.responses.send(model=model, input=items, truncation="auto")
            assert response.status == "completed"
    if dialect != "fake":
        (seen,) = upstream.seen(mark)
        assert 2 * CONTEXT < len(seen.body) < 6 * CONTEXT


# Endpoints of other contexts


def test_each_endpoint_gets_what_fits_it(house: Gateway, upstream: Upstream, mark: str) -> None:
    items = many_turns("", mark, 100)
    upstream.play(mark, whole({"error": {"message": "busy"}}, 503), host="wide")
    upstream.play(mark, whole(completion()), host="narrow")
    reply = house.call(ask("long/two", items))
    response_of(reply)
    (wide,), (narrow,) = upstream.seen(mark, "wide"), upstream.seen(mark, "narrow")
    assert len(narrow.body) < 6 * SIZES["narrow"]
    assert len(wide.body) > 2 * len(narrow.body)
    check_legal("chat", narrow.json)
    assert record_of(house, reply)["plugins"]["truncation"]["context_tokens"] == SIZES["narrow"]


def test_who_can_take_all_of_it_is_asked_first(house: Gateway, upstream: Upstream, mark: str) -> None:
    for number in range(4):
        nonce = f"{mark}-{number}"
        upstream.play(nonce, whole(completion()))
        response_of(house.call(ask("long/two", many_turns("", nonce, 50))))
        assert len(upstream.seen(nonce, "wide")) == 1
        assert upstream.seen(nonce, "narrow") == []


def test_who_cannot_take_what_has_to_stay_is_passed_over(house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(completion()))
    # More than two thousand tokens, though routing is not sure of it.
    items = [*many_turns("", mark, 5), user("Words of mine. " * 700)]
    response_of(house.call(ask("long/unalike", items, provider={"order": ["mock-small", "mock-wide"]})))
    assert upstream.seen(mark, "small") == []
    assert len(upstream.seen(mark, "wide")) == 1


# Refusals


@pytest.mark.parametrize("words", [700, 6_000], ids=["at the endpoint", "in routing"])
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_a_last_turn_that_is_too_long(
    is_stream: bool, words: int, house: Gateway, upstream: Upstream, mark: str
) -> None:
    items = [*many_turns("", mark, 5), user("Words of mine. " * words)]
    error = error_of(house.call(ask("long/small", items, stream=is_stream)), 400)
    metadata = error["metadata"]
    assert metadata["error_type"] == "context_length_exceeded"
    assert metadata["max_context_tokens"] == SIZES["small"]
    assert metadata["estimated_input_tokens"] > SIZES["small"]
    assert error["message"].startswith("This endpoint's maximum context length is 2048 tokens. However, you requested")
    assert "leaves out no instructions" in error["message"]
    assert upstream.seen(mark) == []


@pytest.mark.parametrize("truncation", ["disabled", None])
def test_a_history_that_is_too_long_and_may_not_be_shorter(
    truncation: str | None, house: Gateway, upstream: Upstream, mark: str
) -> None:
    asked = ask("long/small", many_turns("", mark), truncation=truncation, max_output_tokens=500)
    error = error_of(house.call(asked), 400)
    metadata = error["metadata"]
    assert metadata["error_type"] == "context_length_exceeded"
    assert metadata["max_context_tokens"] == SIZES["small"]
    assert metadata["output_tokens"] == 500
    total = metadata["estimated_input_tokens"] + 500
    assert f"maximum context length is 2048 tokens. However, you requested about {total} tokens" in error["message"]
    assert 'With truncation "auto"' in error["message"]
    assert upstream.seen(mark) == []


TOO_LONG = "This model's maximum context length is 16384 tokens. However, you requested about 40000 tokens."


@pytest.mark.parametrize(
    ("dialect", "is_stream"), [*((dialect, False) for dialect in DIALECTS), *((dialect, True) for dialect in ENDS)]
)
def test_UP_13_a_context_that_is_refused_is_asked_once_more_with_less(
    dialect: str, is_stream: bool, house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, whole(error_in(dialect, TOO_LONG), 400), answer(dialect, is_stream))
    reply = house.call(ask(f"long/{dialect}", many_turns(dialect, mark), stream=is_stream))
    assert events_of(reply) if is_stream else response_of(reply)
    first, second = upstream.seen(mark)
    check_legal(dialect, second.json)
    assert len(second.body) < 0.7 * len(first.body)
    assert mark in texts_of(second.json)
    note = record_of(house, reply)["plugins"]["truncation"]
    assert note["context_tokens"] <= 0.8 * 16_384
    assert dropped(reply)["input.turns"] == str(note["dropped_turns"])


OVER = {"error": {"code": 400, "message": TOO_LONG}}


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_UP_13_so_it_is_where_the_refusal_comes_as_an_answer(
    is_stream: bool, house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, stream([OVER]) if is_stream else whole(OVER), answer("chat", is_stream))
    reply = house.call(ask("long/chat", many_turns("chat", mark), stream=is_stream))
    assert events_of(reply) if is_stream else response_of(reply)
    first, second = upstream.seen(mark)
    assert len(second.body) < 0.7 * len(first.body)
    assert dropped(reply)["input.turns"] == str(record_of(house, reply)["plugins"]["truncation"]["dropped_turns"])


@pytest.mark.parametrize("refusals", [(whole(OVER, 400), stream([OVER])), (stream([OVER]), whole(OVER, 400))])
def test_UP_13_a_refusal_of_either_kind_is_the_last_after_the_other(
    refusals: tuple[Script, ...], house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, *refusals, answer("chat", True))
    error = error_of(house.call(ask("long/chat", many_turns("chat", mark), stream=True)), 400)
    assert [attempt["kind"] for attempt in error["metadata"]["attempts"]] == ["too_long"]
    assert len(upstream.seen(mark)) == 2


def test_UP_13_it_is_asked_no_third_time_and_blamed_once(house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(error_in("chat", TOO_LONG), 400))
    error = error_of(house.call(ask("long/chat", many_turns("chat", mark), stream=True)), 400)
    assert error["metadata"]["error_type"] == "context_length_exceeded"
    assert [attempt["kind"] for attempt in error["metadata"]["attempts"]] == ["too_long"]
    assert len(upstream.seen(mark)) == 2


def test_a_context_that_nobody_knew(house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(error_in("chat", TOO_LONG), 400), whole(completion()), host="chat")
    reply = house.call(ask("long/unknown", many_turns("", mark)))
    response_of(reply)
    first, second = upstream.seen(mark)
    assert len(first.body) > 6 * CONTEXT
    assert len(second.body) < 5 * 16_384


@pytest.mark.parametrize("truncation", ["disabled", None])
def test_without_the_wish_a_refusal_stands(
    truncation: str | None, house: Gateway, upstream: Upstream, mark: str
) -> None:
    upstream.play(mark, whole(error_in("chat", TOO_LONG), 400), whole(completion()))
    error_of(house.call(ask("long/chat", many_turns("chat", mark, 20), truncation=truncation)), 400)
    assert len(upstream.seen(mark)) == 1


def test_a_refusal_of_what_cannot_be_shorter_stands(house: Gateway, upstream: Upstream, mark: str) -> None:
    upstream.play(mark, whole(error_in("chat", TOO_LONG), 400), whole(completion()))
    error_of(house.call(ask("long/chat", [user(f"{mark} {'words ' * 8_000}")])), 400)
    assert len(upstream.seen(mark)) == 1


# What is told beforehand


def test_an_explanation_tells_what_each_endpoint_would_be_told(house: Gateway, mark: str) -> None:
    reply = house.call(ask("long/two", many_turns("", mark, 50)), path="/api/v1/responses/explain")
    told = {each["endpoint"]: each for each in reply.json["plugins"]["truncation"]}
    wide, narrow = told["mock-wide:long/two"], told["mock-narrow:long/two"]
    assert (wide["is_shortened"], wide["dropped_items"], wide["fits"]) == (False, 0, True)
    assert (narrow["is_shortened"], narrow["fits"], narrow["context_tokens"]) == (True, True, SIZES["narrow"])
    assert narrow["dropped_turns"] > 0
    assert "a context that does not hold all of the input" in reply.json["order"][1]["because"]


def test_an_explanation_without_the_wish_tells_nothing_of_it(house: Gateway, mark: str) -> None:
    reply = house.call(ask("long/two", many_turns("", mark, 5), truncation=None), path="/api/v1/responses/explain")
    assert "plugins" not in reply.json


# Turns with searches


def test_each_turn_of_an_answer_with_searches_is_made_to_fit(house: Gateway, upstream: Upstream, mark: str) -> None:
    query = json.dumps({"query": f"{mark} kites"})
    call = {"id": "call_9", "type": "function", "function": {"name": "web_search", "arguments": query}}
    upstream.play(mark, whole(completion(None, "tool_calls", tool_calls=[call])), whole(completion()), host="narrow")
    pages = [{"title": "A page", "url": "https://a.example/", "text": "Kites fly. " * 400}]
    upstream.play(mark, whole({"results": pages}), host="exa")
    tools, only = [*TOOLS, {"type": "web_search"}], {"only": ["mock-narrow"]}
    asked = ask("long/two", many_turns("", mark, 50), tools=tools, provider=only)
    reply = house.call(asked)
    assert [item["type"] for item in response_of(reply)["output"]] == ["web_search_call", "message"]
    first, second = upstream.seen(mark, "narrow")
    assert "Kites fly." in texts_of(second.json)
    check_legal("chat", second.json)
    assert len(second.body) < 6 * SIZES["narrow"]
    assert len(readings("chat", second.json)) < len(readings("chat", first.json))
    note = record_of(house, reply)["plugins"]
    assert len(note["web"]["turns"]) == 2
    assert note["truncation"]["dropped_turns"] == int(dropped(reply)["input.turns"])


def test_a_stream_tells_in_its_head_what_was_left_out(house: Gateway, upstream: Upstream, mark: str) -> None:
    reply = house.call(ask("long/chat", many_turns("chat", mark), stream=True))
    events_of(reply)
    assert int(dropped(reply)["input.turns"]) > 100


# Money


def test_what_nobody_counted_is_charged_as_it_was_told(house: Gateway, upstream: Upstream, mark: str) -> None:
    uncounted = {name: value for name, value in completion().items() if name != "usage"}
    upstream.play(mark, whole(error_in("chat", TOO_LONG), 400), whole(uncounted), host="chat")
    usage = response_of(house.call(ask("long/unknown", many_turns("", mark))))["usage"]
    (_, second) = upstream.seen(mark)
    assert 0.5 * len(second.body) / 4 < usage["input_tokens"] < 16_384


def test_a_limit_that_credit_sets_takes_no_room_from_the_input(house: Gateway, upstream: Upstream, mark: str) -> None:
    items = many_turns("chat", mark)
    upstream.play(mark, whole(completion()))
    free = house.call(ask("long/chat", items))
    store = Store(house, house.log.with_name("trunkline.db"))
    bound = store.tenant(600_000_000).call(ask("long/chat", items))
    assert int(bound.headers["x-trunkline-clamped"].partition("=")[2]) > CONTEXT // 8
    assert dropped(bound)["input.turns"] == dropped(free)["input.turns"]
    store.check()


# OpenAI's own items


def test_openai_is_told_its_own_items_in_pairs(house: Gateway, upstream: Upstream, mark: str) -> None:
    found = [{"type": "function", "name": "found", "parameters": {"type": "object"}}]
    search = {"type": "tool_search_call", "call_id": "search_1", "execution": "client", "arguments": {"query": "x"}}
    offered = {"type": "tool_search_output", "call_id": "search_1", "execution": "client", "tools": found}
    shell: Json = {"type": "local_shell_call", "call_id": "shell_1", "id": "lsh_1", "status": "completed"}
    shell["action"] = {"type": "exec", "command": ["ls"], "env": {}}
    listed = {"type": "local_shell_call_output", "id": "lsh_1", "call_id": "shell_1", "output": "a b"}
    items = [user("Begin."), search, offered, shell, listed, *many_turns("openai", mark)]
    tools = [*TOOLS, {"type": "tool_search"}, {"type": "local_shell"}]
    upstream.play(mark, whole(WHOLE["responses"]))
    reply = house.call(ask("long/openai", items, tools=tools))
    response_of(reply)
    (seen,) = upstream.seen(mark)
    told = seen.json["input"]
    assert [item["type"] for item in told[:2]] == ["tool_search_call", "tool_search_output"]
    assert seen.json["truncation"] == "auto"
    calls = [item["call_id"] for item in told if item["type"].endswith("_call")]
    outputs = [item["call_id"] for item in told if item["type"].endswith("_output")]
    assert sorted(calls) == sorted(outputs)
    assert "shell_1" not in calls
    assert {"custom_tool_call", "function_call", "reasoning"} <= {item["type"] for item in told}
    assert int(dropped(reply)["input.turns"]) > 100
