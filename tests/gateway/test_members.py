"""What clients of this API say beyond the contract: each is on the wire as its vendor documents it, or is named.

One gateway with two providers for each dialect: a plain one, of which nothing is told, and one whose quirks say that it
takes all there is. The tables say where a member goes; what has no place in a table must be named as dropped, and must
be nowhere in what the provider gets.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses.response_create_params import ResponseCreateParamsBase

from tests.gateway.checks import ask, error_of, events_of, response_of, text_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import ANSWERS, CONFIG, as_toml, at
from tests.gateway.test_wire_requests import COHERE
from tests.gateway.upstream import Script, Upstream, chunk, completion, head, sse, stream, usage_chunk, whole

DIALECTS = ("chat", "cohere", "converse", "gemini", "messages", "mistral", "responses")
WHOLE: dict[str, Any] = {
    **ANSWERS,
    "mistral": completion(),
    "cohere": {**COHERE, "usage": {"tokens": {"input_tokens": 7, "output_tokens": 3}}},
}
ALL_SAMPLING = ["seed", "min_p", "top_a", "repetition_penalty", "logit_bias"]
TOLD = {
    "sampling": ALL_SAMPLING,
    "service_tiers": {"flex": "slow", "priority": "quick", "scale": "much", "ultrafast": "at once"},
    "has_reasoning_context": True,
    "has_prediction": True,
}
"""Words that no vendor has, so that they come from here."""

ADAPTIVE = {"thinking_style": "adaptive"}
LISTED = ["low", "medium", "high", "xhigh", "max"]


ROWS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "openai": ("responses", {"flex": "flex", "priority": "priority", "scale": "scale"}, set()),
    "xai": ("responses", {"priority": "priority"}, set()),
    "groq": ("chat", {"flex": "flex", "priority": "performance"}, {"seed"}),
    "anthropic": ("messages", {"priority": "auto"}, set()),
    "mistral": ("mistral", {"priority": "auto"}, {"random_seed"}),
    "google-ai-studio": ("gemini", {"flex": "flex", "priority": "priority"}, set()),
    "deepseek": ("chat", {}, set()),
    "deepinfra": ("chat", {}, {"seed", "min_p", "repetition_penalty", "logit_bias"}),
}
"""Shipped rows: the dialect, what each tier is called there, and the top members of a body that say a sampling."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = CONFIG + "[providers.fake-provider]\nenabled = true\n"
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"as-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        rows: dict[str, tuple[dict[str, Any], list[str]]] = {
            "plain": ({}, []),
            "told": (TOLD, []),
            "deaf": ({}, ["stop", "seed", "phase"]),
        }
        if dialect in ("messages", "converse"):
            rows["adaptive"] = (ADAPTIVE, [])
        for name, (quirks, rejects) in rows.items():
            config += ENDPOINT.format(provider=f"as-{dialect}", model=f"{name}/{dialect}")
            config += f"quirks = {as_toml(quirks)}\nrejects = {json.dumps(rejects)}\n"
        config += ENDPOINT.format(provider=f"as-{dialect}", model=f"listed/{dialect}")
        config += f"reasoning_efforts = {json.dumps(LISTED)}\n"
        config += ENDPOINT.format(provider=f"as-{dialect}", model=f"unthinking/{dialect}")
        config += 'supports = ["max_tokens"]\n'
        config += ENDPOINT.format(provider=f"as-{dialect}", model=f"wordless/{dialect}")
        config += 'quirks = { reasoning_request = "none", thinking_style = "none" }\n'
    for name in ROWS:
        config += f'[providers.{name}]\nbase_url = "{upstream.url}/{name}/v1"\napi_key = {{ env = "MOCK_KEY" }}\n'
        config += ENDPOINT.format(provider=name, model=f"rows/{name}")
    config += ENDPOINT.format(provider="as-chat", model="willful/chat")
    config += 'quirks = {has_top_k = false}\nsupports = ["reasoning"]\nrejects = ["temperature"]\n'
    config += ENDPOINT.format(provider="as-responses", model="openai/responses")
    config += "quirks = {has_openai_tools = true}\n"
    with running(tmp_path_factory.mktemp("members"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


@dataclass(frozen=True)
class Course:
    """What the provider got and the client was told."""

    sent: Any
    reply: Reply

    @property
    def dropped(self) -> list[str]:
        told = self.reply.headers.get("x-trunkline-dropped")
        return told.split(", ") if told else []


@pytest.fixture
def course(gateway: Gateway, upstream: Upstream, nonce: str) -> Any:
    def run(model: str, **members: Any) -> Course:
        upstream.play(nonce, whole(WHOLE[model.partition("/")[2]]))
        before = len(upstream.seen(nonce))
        reply = gateway.call({"model": model, "input": nonce, **members})
        response_of(reply)
        return Course(upstream.seen(nonce)[before].json, reply)

    return run


Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Case:
    """A member, and by dialect where it goes and as what; `name` is what it is called where it is dropped."""

    id: str
    asked: dict[str, Any]
    name: str
    places: dict[str, tuple[Place, Any]] = field(default_factory=dict)
    endpoint: str = "plain"


STOP_PLACES: dict[str, Place] = {
    "chat": ("stop",),
    "cohere": ("stop_sequences",),
    "converse": ("inferenceConfig", "stopSequences"),
    "gemini": ("generationConfig", "stopSequences"),
    "messages": ("stop_sequences",),
    "mistral": ("stop",),
}
SEED_PLACES: dict[str, Place] = {
    "chat": ("seed",),
    "cohere": ("seed",),
    "gemini": ("generationConfig", "seed"),
    "mistral": ("random_seed",),
}
TIER_PLACES: dict[str, Place] = {
    "chat": ("service_tier",),
    "converse": ("serviceTier", "type"),
    "gemini": ("serviceTier",),
    "messages": ("service_tier",),
    "mistral": ("service_tier",),
    "responses": ("service_tier",),
}
PREDICTION = {"type": "content", "content": "def f(): ..."}
LOGPROBS = "message.output_text.logprobs"
CONTEXT = {"reasoning": {"context": "all_turns"}}


def everywhere(places: dict[str, Place], value: Any) -> dict[str, tuple[Place, Any]]:
    return {dialect: (place, value) for dialect, place in places.items()}


CASES = [
    Case("a seed", {"seed": 7}, "seed", everywhere(SEED_PLACES, 7)),
    Case("a seed of 0", {"seed": 0}, "seed", everywhere(SEED_PLACES, 0)),
    Case(
        "a seed beyond 31 bits",
        {"seed": 2**31 + 7},
        "seed",
        everywhere(SEED_PLACES, 7) | {"chat": (("seed",), 2**31 + 7)},
    ),
    Case("min_p", {"min_p": 0.1}, "min_p", {"chat": (("min_p",), 0.1)}),
    Case("top_a", {"top_a": 0.2}, "top_a"),
    Case(
        "repetition_penalty",
        {"repetition_penalty": 1.1},
        "repetition_penalty",
        {"chat": (("repetition_penalty",), 1.1)},
    ),
    Case("logit_bias", {"logit_bias": {"50256": -100}}, "logit_bias", {"chat": (("logit_bias",), {"50256": -100})}),
    Case("top_a where it is told of", {"top_a": 0.2}, "top_a", {"chat": (("top_a",), 0.2)}, "told"),
    Case(
        "repetition_penalty where it is told of",
        {"repetition_penalty": 1.1},
        "repetition_penalty",
        {"chat": (("repetition_penalty",), 1.1), "mistral": (("repetition_penalty",), 1.1)},
        "told",
    ),
    *(
        Case(f"the tier {tier}", {"service_tier": tier}, "service_tier")
        for tier in ("flex", "priority", "scale", "fast")
    ),
    *(
        Case(
            f"the tier {tier} where it is told of",
            {"service_tier": tier},
            "service_tier",
            everywhere(TIER_PLACES, word),
            "told",
        )
        for tier, word in {
            "flex": "slow",
            "priority": "quick",
            "fast": "quick",
            "scale": "much",
            "ultrafast": "at once",
        }.items()
    ),
    Case(
        "log probabilities",
        {"include": [LOGPROBS]},
        "logprobs",
        {
            **everywhere(dict.fromkeys(("chat", "cohere", "mistral"), ("logprobs",)), True),
            "gemini": (("generationConfig", "responseLogprobs"), True),
            "responses": (("include",), [LOGPROBS]),
        },
    ),
    Case(
        "a prediction",
        {"prediction": PREDICTION},
        "prediction",
        {"mistral": (("prediction",), PREDICTION)},
    ),
    Case(
        "a prediction where it is told of",
        {"prediction": PREDICTION},
        "prediction",
        everywhere({"chat": ("prediction",), "mistral": ("prediction",)}, PREDICTION),
        "told",
    ),
    Case("earlier thoughts", CONTEXT, "reasoning.context"),
    Case(
        "earlier thoughts where it is told of",
        CONTEXT,
        "reasoning.context",
        {"responses": (("reasoning", "context"), "all_turns")},
        "told",
    ),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_member_is_on_the_wire_or_named(case: Case, dialect: str, course: Any) -> None:
    plain, ran = course(f"{case.endpoint}/{dialect}"), course(f"{case.endpoint}/{dialect}", **case.asked)
    if dialect in case.places:
        place, value = case.places[dialect]
        assert at(ran.sent, place) == value
        assert ran.dropped == []
    else:
        assert ran.sent == plain.sent
        assert ran.dropped == [case.name]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("tier", ["auto", "default"])
def test_the_usual_tier_is_asked_for_by_nothing(tier: str, dialect: str, course: Any) -> None:
    ran = course(f"told/{dialect}", service_tier=tier)
    assert ran.sent == course(f"told/{dialect}").sent
    assert ran.dropped == []


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("asked", ["END", ["END"], ["END", "b", "c", "d"]], ids=str)
def test_stop_texts_are_told_where_the_dialect_has_them(asked: Any, dialect: str, course: Any) -> None:
    ran = course(f"plain/{dialect}", stop=asked)
    told = [asked] if isinstance(asked, str) else asked
    if dialect in STOP_PLACES:
        assert at(ran.sent, STOP_PLACES[dialect]) == told
    else:
        assert ran.sent == course(f"plain/{dialect}").sent
    assert ran.dropped == []
    assert at(course(f"deaf/{dialect}", stop=asked).sent, STOP_PLACES.get(dialect, ("stop",))) is None


def test_what_a_model_that_chooses_alone_refuses_is_not_sent(course: Any) -> None:
    ran = course("willful/chat", stop="END", seed=7, min_p=0.1, logit_bias={"5": 1})
    assert {"stop", "min_p", "logit_bias"}.isdisjoint(ran.sent)
    assert ran.sent["seed"] == 7
    assert sorted(ran.dropped) == ["logit_bias", "min_p"]


def test_a_stop_text_of_white_space_is_not_told_to_claude(course: Any) -> None:
    assert course("plain/messages", stop=["\n\n", "END"]).sent["stop_sequences"] == ["END"]


ASKED: dict[str, Any] = {"seed": 7, "min_p": 0.1, "top_a": 0.2, "repetition_penalty": 1.1, "logit_bias": {"5": 1}}


@pytest.mark.parametrize("name", ROWS)
def test_a_shipped_row_says_what_its_provider_takes(
    name: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    dialect, tiers, taken = ROWS[name]
    upstream.play(nonce, whole(WHOLE[dialect]))
    for tier in ("flex", "priority", "scale"):
        reply = gateway.call(ask(f"rows/{name}", nonce, service_tier=tier, **ASKED))
        response_of(reply)
        body = upstream.seen(nonce)[-1].json
        assert (body.get("service_tier") or body.get("serviceTier")) == tiers.get(tier)
        assert {"random_seed", *ASKED} & body.keys() == taken
        dropped = reply.headers["x-trunkline-dropped"].split(", ")
        assert ("service_tier" in dropped) == (tier not in tiers)
        is_folded = name in ("mistral", "google-ai-studio")
        assert {*dropped} - {"service_tier"} == ASKED.keys() - taken - ({"seed"} if is_folded else set())


def test_FakeProvider_takes_all_but_a_tier(gateway: Gateway) -> None:
    reply = gateway.call(ask("fake/echo", **ASKED, service_tier="flex"))
    assert reply.headers["x-trunkline-dropped"] == "service_tier"


# Answers that the client begins

PREFILLS: dict[str, tuple[Place, Any]] = {
    "converse": (("messages", 1), {"role": "assistant", "content": [{"text": "It is"}]}),
    "gemini": (("contents", 1), {"role": "model", "parts": [{"text": "It is"}]}),
    "messages": (("messages", 1), {"role": "assistant", "content": [{"type": "text", "text": "It is"}]}),
    "mistral": (("messages", 1), {"role": "assistant", "content": "It is", "prefix": True}),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_has_begun_is_on_the_wire_or_refused(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(WHOLE[dialect]))
    begun = {"role": "assistant", "content": "It is", "prefix": True}
    reply = gateway.call({"model": f"plain/{dialect}", "input": [{"role": "user", "content": nonce}, begun]})
    if dialect in PREFILLS:
        response_of(reply)
        place, value = PREFILLS[dialect]
        assert at(upstream.seen(nonce)[0].json, place) == value
    else:
        error = error_of(reply, 400)
        assert "goes on with an answer that has begun" in error["message"]
        assert error["metadata"]["param"] == "input"
        assert not upstream.seen(nonce)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_words_of_the_assistant_at_the_end_refuse_nobody_where_nothing_says_that_they_begin_the_answer(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(WHOLE[dialect]))
    said = {"role": "assistant", "content": "It is"}
    response_of(gateway.call({"model": f"plain/{dialect}", "input": [{"role": "user", "content": nonce}, said]}))


def test_claude_does_not_think_about_an_answer_that_has_begun(course: Any, nonce: str) -> None:
    """A final message of the assistant that does not begin with a thought is a 400 where thinking is on."""
    begun = [{"role": "user", "content": nonce}, {"role": "assistant", "content": "It is", "prefix": True}]
    ran = course("plain/messages", input=begun, reasoning={"max_tokens": 2_000}, max_output_tokens=8_000)
    assert ran.sent["thinking"] == {"type": "disabled"}
    assert ran.dropped == ["reasoning"]


# What tools gave back

CALLED = [{"role": "user", "content": "NONCE"}, {"type": "function_call", "call_id": "c1", "name": "f"}]
FAILING: dict[str, tuple[Place, Any]] = {
    "messages": (("messages", 2, "content", 0, "is_error"), True),
    "converse": (("messages", 2, "content", 0, "toolResult", "status"), "error"),
}
RESULTS: dict[str, Place] = {
    "chat": ("messages", 2, "content"),
    "cohere": ("messages", 2, "content"),
    "converse": ("messages", 2, "content", 0, "toolResult", "content", 0, "text"),
    "gemini": ("contents", 2, "parts", 0, "functionResponse", "response", "output"),
    "messages": ("messages", 2, "content", 0, "content"),
    "mistral": ("messages", 2, "content"),
    "responses": ("input", 2, "output"),
}
FAILURE = "input.function_call_output.is_error"


@dataclass(frozen=True)
class Failed:
    """What a tool gave back as an error, and how it reads where that is said in words."""

    id: str
    output: Any
    told: Any


def part(text: str) -> dict[str, Any]:
    return {"type": "input_text", "text": text}


FAILURES = [
    Failed("a text", "No such file", "Error: No such file"),
    Failed("a text that says so", "error: no such file", "error: no such file"),
    Failed("nothing", "", "Error:"),
    Failed("JSON", '{"code": 2}', 'Error: {"code": 2}'),
    Failed("parts", [part("No such file"), part("Look again")], "Error: No such file\nLook again"),
    Failed("a part that says so", [part("Error: none")], "Error: none"),
    Failed("no parts", [], "Error:"),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case.id)
def test_that_a_tool_failed_is_on_the_wire_or_in_words(
    case: Failed, dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    result = {"type": "function_call_output", "call_id": "c1", "output": case.output}
    upstream.play(nonce, whole(WHOLE[dialect]))
    sent, dropped = [], []
    for said in (result, {**result, "is_error": False}, {**result, "is_error": True}):
        items = json.loads(json.dumps([*CALLED, said]).replace("NONCE", nonce))
        reply = gateway.call({"model": f"plain/{dialect}", "input": items})
        response_of(reply)
        sent.append(upstream.seen(nonce)[-1].json)
        dropped.append(reply.headers.get("x-trunkline-dropped"))
    assert sent[0] == sent[1]
    assert dropped[:2] == [None, None]
    if dialect in FAILING:
        place, value = FAILING[dialect]
        assert at(sent[2], place) == value
        assert at(sent[2], RESULTS[dialect]) == at(sent[0], RESULTS[dialect])
        assert dropped[2] is None
        return
    told = at(sent[2], RESULTS[dialect])
    if isinstance(told, list):
        told = "\n".join(each["text"] for each in told)
    assert told == case.told
    assert dropped[2] == FAILURE


def test_a_picture_that_a_failed_tool_gave_stays(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    picture = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    result = {"type": "function_call_output", "call_id": "c1", "output": [picture], "is_error": True}
    upstream.play(nonce, whole(WHOLE["responses"]))
    items = json.loads(json.dumps([*CALLED, result]).replace("NONCE", nonce))
    reply = gateway.call({"model": "plain/responses", "input": items})
    output = upstream.seen(nonce)[-1].json["input"][2]["output"]
    assert [each["type"] for each in output] == ["input_text", "input_image"]
    assert reply.headers["x-trunkline-dropped"] == FAILURE


# Efforts

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max", "ultra")
BUDGETS: dict[str, Place] = {
    "cohere": ("thinking", "token_budget"),
    "converse": ("additionalModelRequestFields", "thinking", "budget_tokens"),
    "gemini": ("generationConfig", "thinkingConfig", "thinkingBudget"),
    "messages": ("thinking", "budget_tokens"),
}
WORDS: dict[str, Place] = {
    "chat": ("reasoning_effort",),
    "mistral": ("reasoning_effort",),
    "responses": ("reasoning", "effort"),
}
ADAPTIVE_PLACES: dict[str, Place] = {
    "messages": ("output_config", "effort"),
    "converse": ("additionalModelRequestFields", "output_config", "effort"),
}
SENT_UNLISTED = {effort: "xhigh" if effort in ("max", "ultra") else effort for effort in EFFORTS}
SENT_LISTED = {**{effort: effort for effort in EFFORTS}, "minimal": "low", "ultra": "max"}
SENT_ADAPTIVE = {**SENT_LISTED, "xhigh": "high"}


@pytest.mark.parametrize(
    ("endpoint", "places", "sent"),
    [("plain", WORDS, SENT_UNLISTED), ("listed", WORDS, SENT_LISTED), ("adaptive", ADAPTIVE_PLACES, SENT_ADAPTIVE)],
    ids=["no efforts told", "efforts told", "adaptive"],
)
@pytest.mark.parametrize("effort", EFFORTS[1:])
def test_an_effort_is_sent_or_the_nearest_is_and_named(
    endpoint: str, places: dict[str, Place], sent: dict[str, str], effort: str, course: Any
) -> None:
    for dialect, place in places.items():
        ran = course(f"{endpoint}/{dialect}", reasoning={"effort": effort}, max_output_tokens=20_000)
        assert at(ran.sent, place) == sent[effort], dialect
        assert ran.dropped == ([] if sent[effort] == effort else ["reasoning.effort"]), dialect
        echoed = "xhigh" if effort in ("max", "ultra") else effort
        assert ran.reply.json["reasoning"]["effort"] == echoed


@pytest.mark.parametrize("dialect", sorted(BUDGETS))
def test_an_effort_is_a_share_of_the_answer_where_budgets_are_asked_for(dialect: str, course: Any) -> None:
    budgets = []
    for effort in EFFORTS[1:]:
        ran = course(f"plain/{dialect}", reasoning={"effort": effort}, max_output_tokens=20_000)
        assert ran.dropped == []
        budgets.append(at(ran.sent, BUDGETS[dialect]))
    assert budgets == sorted(budgets)
    assert budgets[-3:] == [19_000] * 3
    assert len(set(budgets)) == 5


ASKS_FOR_THOUGHT = [
    {"effort": "high"},
    {"effort": "ultra"},
    {"max_tokens": 4_000},
    {"max_tokens": 31_999},
    {"enabled": True},
]


UNTHINKING = [f"unthinking/{dialect}" for dialect in DIALECTS]
WORDLESS = [f"wordless/{dialect}" for dialect in DIALECTS if dialect != "cohere"]
"""Cohere can be asked in one way, of which no quirk tells."""


@pytest.mark.parametrize("reasoning", ASKS_FOR_THOUGHT, ids=str)
@pytest.mark.parametrize("model", UNTHINKING + WORDLESS)
def test_thought_that_is_not_to_be_had_is_named_and_no_reason_to_refuse(
    model: str, reasoning: dict[str, Any], course: Any
) -> None:
    """Claude Code asks for it of every model: https://github.com/anthropics/claude-code, 2.1.197, seen 2026-11-28."""
    ran = course(model, reasoning=reasoning, max_output_tokens=32_000)
    assert ran.sent == course(model, max_output_tokens=32_000).sent
    assert ran.dropped == ["reasoning"]


@pytest.mark.parametrize("model", UNTHINKING)
def test_no_thought_is_had_by_saying_nothing_where_there_is_none(model: str, course: Any) -> None:
    ran = course(model, reasoning={"effort": "none"})
    assert ran.sent == course(model).sent
    assert ran.dropped == []


BUDGETED = {
    **BUDGETS,
    "chat": ("reasoning_effort",),
    "mistral": ("reasoning_effort",),
    "responses": ("reasoning", "effort"),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_budget_is_sent_or_becomes_an_effort_and_is_named(dialect: str, course: Any) -> None:
    ran = course(f"plain/{dialect}", reasoning={"max_tokens": 10_000}, max_output_tokens=20_000)
    is_exact = dialect in BUDGETS
    assert at(ran.sent, BUDGETED[dialect]) == (10_000 if is_exact else "medium")
    assert ran.dropped == ([] if is_exact else ["reasoning.max_tokens"])


def test_no_summary_is_taken(course: Any) -> None:
    for dialect in DIALECTS:
        ran = course(f"plain/{dialect}", reasoning={"summary": "none"})
        assert ran.dropped == []
        assert "summary" not in json.dumps(ran.sent)


# Phases

TALK = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "phase": "commentary", "content": "I look."},
    {"role": "assistant", "phase": None, "content": "Still."},
]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_phase_of_a_message_is_sent_or_named(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(WHOLE[dialect]))
    talk = [*TALK, {"role": "user", "content": nonce}]
    reply = gateway.call({"model": f"plain/{dialect}", "input": talk})
    response_of(reply)
    (seen,) = upstream.seen(nonce)
    if dialect == "responses":
        assert [item.get("phase") for item in seen.json["input"]] == [None, "commentary", None, None]
        assert "x-trunkline-dropped" not in reply.headers
        reply = gateway.call({"model": "deaf/responses", "input": talk})
        assert b"commentary" not in upstream.seen(nonce)[1].body
    assert (reply.headers.get("x-trunkline-dropped") == "input.phase") == (
        b"phase" not in upstream.seen(nonce)[-1].body
    )


def spoken(index: int, text: str, phase: str | None, *, is_late: bool = False) -> list[dict[str, Any]]:
    """The events of one message."""
    item = {"type": "message", "id": f"m{index}", "role": "assistant", "status": "in_progress", "content": []}
    told = {} if phase is None else {"phase": phase}
    part = {"type": "output_text", "text": text, "annotations": []}
    return [
        {"type": "response.output_item.added", "output_index": index, "item": item if is_late else {**item, **told}},
        *(
            {
                "type": "response.output_text.delta",
                "output_index": index,
                "content_index": 0,
                "item_id": f"m{index}",
                "delta": letter,
            }
            for letter in text
        ),
        {
            "type": "response.output_item.done",
            "output_index": index,
            "item": {**item, **told, "status": "completed", "content": [part]},
        },
    ]


def answered(*messages: list[dict[str, Any]]) -> tuple[Script, Any]:
    """The stream of some messages, and the same answer whole."""
    output = [events[-1]["item"] for events in messages]
    response = {**ANSWERS["responses"], "output": output}
    created = {"type": "response.created", "response": {**response, "output": [], "status": "in_progress"}}
    told = [created, *(event for events in messages for event in events)]
    return stream([*told, {"type": "response.completed", "response": response}]), response


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ([("Look.", "commentary"), ("Done.", "final_answer")], [("Look.", "commentary"), ("Done.", "final_answer")]),
        ([("Look.", "commentary"), ("And.", "commentary")], [("Look.And.", "commentary")]),
        ([("Look.", "commentary"), ("Done.", None)], [("Look.", "commentary"), ("Done.", None)]),
        ([("Look.", None), ("Done.", "final_answer")], [("Look.", None), ("Done.", "final_answer")]),
        ([("Look.", None), ("Done.", None)], [("Look.Done.", None)]),
    ],
    ids=["two phases", "one phase", "a phase and none", "none and a phase", "none"],
)
@pytest.mark.parametrize("is_late", [False, True], ids=["told first", "told last"])
def test_the_phase_of_an_answer_is_told(
    messages: list[tuple[str, str | None]],
    told: list[tuple[str, str | None]],
    is_late: bool,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    streamed, whole_body = answered(
        *(spoken(index, text, phase, is_late=is_late) for index, (text, phase) in enumerate(messages))
    )
    upstream.play(nonce, whole(whole_body))
    items = response_of(gateway.call(ask("plain/responses", nonce)))["output"]
    assert [("".join(part["text"] for part in item["content"]), item.get("phase")) for item in items] == told
    if is_late and told != [*messages]:
        # What a message is was not known when the next one began.
        return
    upstream.play(nonce, streamed)
    events = events_of(gateway.call(ask("plain/responses", nonce, stream=True)))
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    if not is_late:
        added = [event["item"].get("phase") for event in events if event["type"] == "response.output_item.added"]
        assert added == [phase for _, phase in told]
        assert [item.get("phase") for item in done] == added
    assert events[-1]["response"]["output"] == done
    assert text_of(events) == "".join(text for text, _ in messages)


def test_a_message_after_a_call_has_its_own_phase(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "look", "arguments": "{}"}
    called = [
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
    ]
    phases = ["commentary", None, "commentary"]
    streamed, whole_body = answered(spoken(0, "I look.", "commentary"), called, spoken(2, "I go on.", "commentary"))
    for script in (streamed, whole(whole_body)):
        upstream.play(nonce, script)
        tool = {"type": "function", "name": "look"}
        asked = ask("plain/responses", nonce, stream=script is streamed, tools=[tool])
        reply = gateway.call(asked)
        response = events_of(reply)[-1]["response"] if script is streamed else response_of(reply)
        assert [item.get("phase") for item in response["output"]] == phases


# Stop texts that nobody else holds to

SAYS = "One, two. END of it."
KEPT = "One, two. "


def texts(pieces: list[str]) -> dict[str, Script]:
    """A stream of some pieces at servers that pass over stop texts."""
    deltas = [
        {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "item_id": "m", "delta": p}
        for p in pieces
    ]
    return {
        "responses": stream([*deltas, {"type": "response.completed", "response": ANSWERS["responses"]}]),
        "chat": stream([*(chunk(piece) for piece in pieces), chunk(finish="stop"), usage_chunk(), "[DONE]"]),
    }


@pytest.mark.parametrize("dialect", ["responses", "chat"])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 12, 100])
def test_the_gateway_ends_an_answer_itself(
    size: int, dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    pieces = [SAYS[start : start + size] for start in range(0, len(SAYS), size)]
    upstream.play(nonce, texts(pieces)[dialect])
    events = events_of(gateway.call(ask(f"plain/{dialect}", nonce, stream=True, stop=["END", "\n\n"])))
    assert text_of(events) == KEPT
    assert events[-1]["response"]["output_text"] == KEPT
    assert events[-1]["response"]["usage"]["output_tokens"] > 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_whole_answer_ends_there_too(dialect: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    answer = json.dumps(WHOLE[dialect]).replace("Hello.", SAYS)
    upstream.play(nonce, whole(answer.encode()))
    response = response_of(gateway.call(ask(f"deaf/{dialect}", nonce, stop="END")))
    assert response["output_text"] == KEPT
    assert response["usage"] == response_of(gateway.call(ask(f"deaf/{dialect}", nonce)))["usage"]


def test_the_provider_is_left_at_once(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    begun = sse([{"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": SAYS}])
    upstream.play(nonce, Script([head(200, "text/event-stream"), begun], "stall"))
    events = events_of(gateway.call(ask("plain/responses", nonce, stream=True, stop="END")))
    assert text_of(events) == KEPT
    (seen,) = upstream.seen(nonce)
    assert seen.is_closed_by_client.wait(1)


def test_an_answer_may_end_before_its_first_word(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    for script in (whole(completion("END of it.")), whole(completion(""))):
        upstream.play(nonce, script)
        assert response_of(gateway.call(ask("plain/chat", nonce, stop="END")))["output_text"] == ""


@pytest.mark.parametrize("is_streamed", [False, True])
def test_FakeProvider_stops_by_itself(is_streamed: bool, gateway: Gateway) -> None:
    asked = ask("fake/echo", "abcdefgh END of it", stop=["END", "never"], stream=is_streamed)
    reply = gateway.call(asked)
    response = events_of(reply)[-1]["response"] if is_streamed else response_of(reply)
    assert response["output_text"] == "abcdefgh "
    assert response["usage"]["output_tokens"] == 3
    assert response["status"] == "completed"


# Who may serve


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"min_p": 0.1, "seed": 7}, "min_p"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning": {"context": "all_turns"}}, "reasoning.context"),
    ],
    ids=str,
)
def test_who_does_not_take_a_required_member_is_not_asked(
    members: dict[str, Any], named: str, gateway: Gateway
) -> None:
    asked = {"model": "plain/gemini", "input": "Hi", "provider": {"require_parameters": True}, **members}
    error = error_of(gateway.call(asked), 404)
    assert f"does not support {named}" in json.dumps(error)


@pytest.mark.parametrize(
    ("model", "members"),
    [
        ("plain/gemini", {"seed": 7, "stop": ["END"]}),
        ("told/gemini", {"service_tier": "flex"}),
        ("told/responses", {"reasoning": {"context": "all_turns"}}),
        ("plain/responses", {"stop": "END"}),
    ],
    ids=str,
)
def test_who_takes_a_required_member_is_asked(model: str, members: dict[str, Any], course: Any) -> None:
    assert course(model, provider={"require_parameters": True}, **members).dropped == []


# The page

PAGE = (Path(__file__).parent.parent.parent / "docs/reference/api.md").read_text()
COLUMNS = ("responses", "chat", "mistral", "messages", "gemini", "converse", "cohere")


def test_the_page_says_where_each_member_goes() -> None:
    table = PAGE.partition("## Members beyond the document")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    told = {name.strip("`"): dict(zip(COLUMNS, cells, strict=True)) for name, *cells in rows}
    found = {name: dict.fromkeys(COLUMNS, "–") for name in told}
    found["stop"] = {"responses": "the gateway"} | {
        dialect: f"`{'.'.join(map(str, place))}`" for dialect, place in STOP_PLACES.items()
    }
    found["input.phase"]["responses"] = "`input.phase`"
    found["is_error"] = dict.fromkeys(COLUMNS, "in words")
    found["is_error"] |= {dialect: f"`{place[-1]}`" for dialect, (place, _) in FAILING.items()}
    found["cache_control"] |= {"chat": "`cache_control`", "messages": "`cache_control`", "converse": "`cachePoint`"}
    for case in CASES:
        for dialect, (place, _) in case.places.items():
            found[case.name][dialect] = f"`{'.'.join(map(str, place))}`"
    assert told == found


# The members of OpenAI's own client

OPENAIS: dict[str, tuple[Any, str]] = {
    "access_programs": ({"cyber": "standard"}, "named"),
    "background": (True, "refused"),
    "background_options": ({"completion_window": "soonest"}, "named"),
    "context_management": ([{"type": "compaction"}], "named"),
    "conversation": ("conv_1", "refused"),
    "image": ({"context_compression": "auto"}, "named"),
    "include": (["reasoning.encrypted_content"], "sent"),
    "input": ([{"role": "user", "content": "NONCE again"}], "sent"),
    "instructions": ("Be kind.", "sent"),
    "max_output_tokens": (100, "sent"),
    "max_tool_calls": (3, "sent"),
    "metadata": ({"k": "v"}, "told"),
    "model": ("told/responses", "told"),
    "moderation": ({"model": "omni"}, "named"),
    "parallel_tool_calls": (False, "told"),
    "previous_response_id": ("resp_1", "refused"),
    "prompt": ({"id": "p"}, "not found"),
    "prompt_cache_key": ("k", "named"),
    "prompt_cache_options": ({"mode": "explicit"}, "named"),
    "prompt_cache_retention": ("24h", "named"),
    "reasoning": ({"effort": "max"}, "sent"),
    "safety_identifier": ("alice", "named"),
    "service_tier": ("flex", "named"),
    "store": (True, "refused"),
    "stream_options": ({"include_obfuscation": False}, "so anyway"),
    "temperature": (0.5, "sent"),
    "text": ({"verbosity": "low"}, "named"),
    "tool_choice": ("none", "told"),
    "tools": ([{"type": "function", "name": "f"}], "sent"),
    "top_logprobs": (2, "sent"),
    "top_p": (0.5, "sent"),
    "truncation": ("auto", "sent"),
    "user": ("alice", "named"),
}
"""Every member, a value of it, and what becomes of that at a plain Responses server: sent there, told in the response,
named as dropped, refused, or looked for in vain; usage always comes, and nothing is obfuscated, whatever
`stream_options` say."""


def test_every_member_of_OpenAIs_client_is_in_the_table() -> None:
    assert OPENAIS.keys() == ResponseCreateParamsBase.__annotations__.keys()


@pytest.mark.parametrize("name", OPENAIS)
def test_no_member_of_OpenAIs_client_is_passed_over(
    name: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    value, fate = OPENAIS[name]
    value = json.loads(json.dumps(value).replace("NONCE", nonce))
    upstream.play(nonce, whole(WHOLE["responses"]))
    plain = gateway.call(ask("plain/responses", nonce))
    reply = gateway.call({**ask("plain/responses", nonce), name: value})
    if fate == "refused":
        assert error_of(reply, 400)["metadata"]["param"] == name
        return
    if fate == "not found":
        assert error_of(reply, 404)["metadata"]["param"] == f"{name}.id"
        return
    response, sent = response_of(reply), [seen.json for seen in upstream.seen(nonce)]
    dropped = reply.headers.get("x-trunkline-dropped", "")
    assert (dropped.partition(".")[0] == name) == (fate == "named" or name == "reasoning")
    assert (sent[0] != sent[1]) == (fate == "sent")
    assert (plain.json[name] != response[name]) if fate == "told" else True


@pytest.mark.parametrize(
    "value",
    [
        "file_search_call.results",
        "web_search_call.action.sources",
        "message.input_image.image_url",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "reasoning.encrypted_content",
    ],
)
def test_whatever_openais_clients_include_is_taken(value: str, course: Any) -> None:
    for dialect in DIALECTS:
        assert course(f"plain/{dialect}", include=[value]).dropped == []


def test_what_cannot_be_included_is_taken_and_named(course: Any) -> None:
    for dialect in DIALECTS:
        ran = course(f"plain/{dialect}", include=["web_search_call.results"])
        assert ran.dropped == ["include.web_search_call.results"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_log_probabilities_are_asked_for_once(dialect: str, course: Any) -> None:
    alone, both = ({"top_logprobs": 1, "include": include} for include in ([], [LOGPROBS]))
    assert course(f"plain/{dialect}", **both).sent == course(f"plain/{dialect}", **alone).sent
    assert course(f"plain/{dialect}", **both).dropped == course(f"plain/{dialect}", **alone).dropped


def test_sources_of_a_search_are_asked_of_openais_servers_alone(course: Any) -> None:
    asked = {"include": ["web_search_call.action.sources"]}
    search = {"tools": [{"type": "web_search"}]}
    assert "include" not in course("plain/responses", **asked, **search).sent
    assert "include" not in course("openai/responses", **asked).sent
    assert course("openai/responses", **asked, **search).sent["include"] == asked["include"]


def test_replayed_searches_go_to_nobody(course: Any, nonce: str) -> None:
    """https://github.com/openai/codex/issues/24612 (2026-11-28): a host refuses those of another, for ever."""
    actions = [
        {"type": "search", "query": "q", "queries": ["q"], "sources": [{"type": "url", "url": "https://a.example"}]},
        {"type": "open_page", "url": "https://a.example"},
        {"type": "find_in_page", "url": "https://a.example", "pattern": "p"},
    ]
    searches = [{"type": "web_search_call", "id": "ws_1", "status": "completed", "action": each} for each in actions]
    plain = [{"role": "user", "content": nonce}, {"role": "assistant", "content": "Hm."}]
    plain.append({"role": "user", "content": "Go on."})
    for dialect in DIALECTS:
        ran = course(f"plain/{dialect}", input=[plain[0], *searches, *plain[1:]])
        assert (ran.sent, ran.dropped) == (course(f"plain/{dialect}", input=plain).sent, [])


def test_what_codex_says_of_itself_is_passed_over(course: Any) -> None:
    ran = course("plain/responses", client_metadata={"session": "s"})
    assert ran.sent == course("plain/responses").sent
    assert ran.dropped == []


MOST_STOPS: dict[str, int | None] = {
    "chat": 4,
    "cohere": 5,
    "converse": 4,
    "gemini": 5,
    "messages": None,
    "mistral": 4,
}
"""How many stop texts a dialect is told; a client of Messages may say more."""


@pytest.mark.parametrize("dialect", DIALECTS)
def test_of_many_stop_texts_as_many_are_told_as_the_dialect_takes_and_the_gateway_sees_to_the_rest(
    dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(WHOLE[dialect]))
    body = {"model": f"plain/{dialect}", "max_tokens": 99, "messages": [{"role": "user", "content": nonce}]}
    (said,) = _texts(gateway.call(body, path="/api/v1/messages"))
    stops = [f"<{number}>" for number in range(63)] + [said[1:]]
    reply = gateway.call({**body, "stop_sequences": stops}, path="/api/v1/messages")
    assert reply.status == 200, reply.body
    sent = upstream.seen(nonce)[-1].json
    assert at(sent, STOP_PLACES.get(dialect, ("stop",))) == (
        stops[: MOST_STOPS[dialect]] if dialect in MOST_STOPS else None
    )
    assert (_texts(reply), reply.json["stop_sequence"]) == ([said[0]], stops[-1])
    assert "x-trunkline-dropped" not in reply.headers


def _texts(reply: Reply) -> list[str]:
    return [block["text"] for block in reply.json["content"] if block["type"] == "text"]
