"""Several turns as one answer: what is told, and what the model is asked next, whatever way its bytes come."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, get_args

import pytest

from tests import document
from tests.gateway.upstream import chunk, sse, usage_chunk
from tests.routing.catalogs import endpoint
from trunkline.adapters.table import ADAPTERS
from trunkline.errors import BadRequest
from trunkline.faces.responses.assemble import Assembler
from trunkline.faces.responses.parse import parse
from trunkline.plugins.order import NO_STEPS, Steps, order
from trunkline.plugins.rounds import End, Rounds, Searches
from trunkline.plugins.searching import SearchStep
from trunkline.protocol.events import Event
from trunkline.protocol.items import Found as Page
from trunkline.protocol.items import FunctionCallItem, FunctionCallOutput, InputText, Message, WebSearchCall
from trunkline.protocol.render import render_event
from trunkline.protocol.request import Request
from trunkline.protocol.tools import FunctionChoice, FunctionTool, SearchToolType
from trunkline.settings.plugin_sections import PluginsSettings, SearchSettings, WebSettings
from trunkline.settings.sections import Settings
from trunkline.stream.deltas import Began, Delta, Search, Stopped, Text
from trunkline.upstream.engines.found import Found, Result
from trunkline.upstream.hearing import Hearing
from trunkline.wire import UpstreamRequest

LAKE = SearchSettings(kind="searxng", base_url="http://127.0.0.1:1", price=Decimal("0.01"))
SETTINGS = Settings(search={"lake": LAKE})
PLACE = endpoint("mock", "m")
SENT = UpstreamRequest("POST", "https://api.example/v1/x", {}, b"{}")
LOOK = {"type": "function", "name": "look", "parameters": {"type": "object"}}
PAGE = Result("Kites", "https://kites.example/a", "Kites fly.", "2026-11-01")


def asked(**more: Any) -> Request:
    body = {"model": "m", "input": "What of kites?", "tools": [{"type": "web_search"}], "stream": True, **more}
    return parse(json.dumps(body).encode(), None)


def step_of(request: Request, settings: Settings = SETTINGS) -> SearchStep:
    _, steps = order(request, settings, tuple(settings.search))
    assert steps.search is not None
    return steps.search


def calls(*given: tuple[str, str], text: str = "", ids: Iterable[str] = ()) -> list[Any]:
    """Chunks of a chat server that calls functions, the arguments in pieces and interleaved."""
    names = list(ids) or [f"call_{index}" for index in range(len(given))]
    said: list[Any] = [chunk(text)] if text else []
    for index, (name, _) in enumerate(given):
        call = {"index": index, "id": names[index], "function": {"name": name, "arguments": ""}}
        said.append(chunk(tool_calls=[call]))
    for index, (_, arguments) in enumerate(given):
        half = len(arguments) // 2
        for piece in (arguments[:half], arguments[half:]):
            said.append(chunk(tool_calls=[{"index": index, "function": {"arguments": piece}}]))
    return [*said, chunk(finish="tool_calls"), usage_chunk(), "[DONE]"]


def search(words: str) -> tuple[str, str]:
    return "web_search", json.dumps({"query": words})


def says(text: str) -> list[Any]:
    return [*(chunk(piece) for piece in text.split(" ")), chunk(finish="stop"), usage_chunk(), "[DONE]"]


class Told:
    """An answer played to its end: what was told, the requests of its turns, what was searched for."""

    def __init__(self, request: Request, turns: Iterable[list[Any]], cut: random.Random | None = None) -> None:
        self.requests: list[Request] = []
        self.queries: list[str] = []
        self.rounds = rounds = Rounds(step_of(request), (f"id{number}" for number in itertools.count()))
        self.assembler = Assembler(request, "resp_1", (f"own{number}" for number in itertools.count()), 0.0, "m")
        self.events: list[Event] = []
        self.deltas: list[Delta] = []
        for turn in turns:
            self.requests.append(rounds.request)
            for batch in heard(rounds.request, sse(turn), cut):
                self.tell(rounds.feed(batch))
            over = rounds.turn_over()
            if isinstance(over, End):
                self.tell(over.deltas)
                break
            self.search(over)
            rounds.next_turn()
            rounds.bound(True, None)
        else:
            raise AssertionError("the answer goes on after its last turn")
        self.events += self.assembler.end(1.0)

    def tell(self, deltas: list[Delta]) -> None:
        self.deltas += deltas
        self.events += self.assembler.feed(deltas)

    def search(self, over: Searches) -> None:
        for each in over.asked:
            self.queries.append(each.query.text)
            self.tell(self.rounds.begun(each))
            problem = "down" if each.query.text == "fail" else ""
            found = Found("lake", () if problem else (PAGE,), 0 if problem else 10_000_000, 0.2, problem)
            self.rounds.paid(found)
            self.tell(self.rounds.ended(each, found))

    @property
    def stream(self) -> list[Any]:
        return [json.loads(render_event(event)) for event in self.events]

    @property
    def kinds(self) -> list[str]:
        return [item["type"] for item in self.stream[-1]["response"]["output"]]

    @property
    def outputs(self) -> list[str]:
        """What the model was told that its calls gave."""
        found = []
        for item in self.requests[-1].input:
            if isinstance(item, FunctionCallOutput):
                assert isinstance(item.output, str)
                found.append(item.output)
        return found


def heard(request: Request, data: bytes, cut: random.Random | None) -> Iterable[list[Delta]]:
    hearing = Hearing(ADAPTERS["chat"].decoder(request, PLACE), PLACE, SENT, "text/event-stream")
    places = sorted(cut.choices(range(len(data) + 1), k=cut.randint(1, 12))) if cut else []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        if (piece := data[start:end]) and not hearing.is_over and (batch := hearing.feed(piece)):
            yield batch
    if not hearing.is_over and (batch := hearing.ended()):
        yield batch


THREE_TURNS = [
    calls(search("kites"), search("kite wind"), text="Let me see. "),
    calls(search("fail"), text="One more. "),
    says("Kites fly. Really."),
]


def test_turns_and_searches_are_one_legal_answer() -> None:
    told = Told(asked(), THREE_TURNS)
    document.check_stream(told.stream)
    for event in told.stream:
        document.validate_event(event)
    assert told.kinds == ["message", "web_search_call", "web_search_call", "message", "web_search_call", "message"]
    assert told.queries == ["kites", "kite wind", "fail"]
    output = told.stream[-1]["response"]["output"]
    made = [item for item in output if item["type"] == "web_search_call"]
    assert [item["status"] for item in made] == ["completed", "completed", "failed"]
    assert [item["action"]["query"] for item in made] == told.queries
    assert told.stream[-1]["type"] == "response.completed"
    added = [event["item"] for event in told.stream if event["type"] == "response.output_item.added"]
    assert all("action" in item for item in added if item["type"] == "web_search_call")
    assert told.rounds.fees[0].count == 2


def test_300_random_cuts_give_the_same_events_and_the_same_next_requests() -> None:
    whole = Told(asked(), THREE_TURNS)
    for seed in range(300):
        cut = Told(asked(), THREE_TURNS, random.Random(seed))
        assert cut.requests == whole.requests, seed
        assert cut.events == whole.events, seed


def test_the_next_turn_is_asked_what_a_client_would_replay() -> None:
    told = Told(asked(), THREE_TURNS)
    first, second, third = told.requests
    assert [type(item) for item in second.input[len(first.input) :]] == [
        Message, FunctionCallItem, FunctionCallItem, FunctionCallOutput, FunctionCallOutput,
    ]  # fmt: skip
    assert second.input == third.input[: len(second.input)]
    assert not any(isinstance(item, WebSearchCall) for item in third.input)
    assert "https://kites.example/a" in told.outputs[0]


def test_ids_that_a_host_counts_anew_in_each_turn_stay_apart() -> None:
    told = Told(asked(), THREE_TURNS)
    ids = [item.call_id for item in told.requests[-1].input if isinstance(item, FunctionCallItem)]
    assert ids == ["call_0", "call_1", "call_0_2"]
    answered = [item.call_id for item in told.requests[-1].input if isinstance(item, FunctionCallOutput)]
    assert answered == ids


@pytest.mark.parametrize(
    ("choice", "first", "later"),
    [
        (None, None, None),
        ("auto", "auto", "auto"),
        ("required", "required", "auto"),
        ({"type": "web_search"}, FunctionChoice("web_search"), "auto"),
        ({"type": "web_search_preview"}, FunctionChoice("web_search"), "auto"),
    ],
)
def test_a_force_holds_for_the_first_turn_alone(choice: Any, first: Any, later: Any) -> None:
    told = Told(asked(tool_choice=choice) if choice else asked(), THREE_TURNS)
    assert [each.tool_choice for each in told.requests] == [first, later, later]


def test_a_forced_function_of_the_clients_stays_forced() -> None:
    request = asked(tools=[{"type": "web_search"}, LOOK], tool_choice={"type": "function", "name": "look"})
    told = Told(request, THREE_TURNS)
    assert [each.tool_choice for each in told.requests] == [FunctionChoice("look")] * 3


def test_only_what_is_allowed_is_forced_once() -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]}
    told = Told(asked(tools=[{"type": "web_search"}, LOOK], tool_choice=choice), THREE_TURNS)
    first, second, _ = (each.tool_choice for each in told.requests)
    assert (first.mode, first.tools[0].name) == ("required", "web_search")  # type: ignore[union-attr]
    assert second.mode == "auto"  # type: ignore[union-attr]


def test_without_searches_left_there_is_one_last_turn_that_may_call_nothing() -> None:
    told = Told(asked(max_tool_calls=1), [calls(search("kites"), search("wind")), says("So be it.")])
    assert told.queries == ["kites"]
    assert told.outputs[1] == "This search was not made: no searches are left. Answer with what you have."
    assert told.requests[-1].tool_choice == "none"
    assert told.requests[-1].tools == told.requests[0].tools


def test_a_host_that_calls_all_the_same_ends_the_answer() -> None:
    told = Told(asked(max_tool_calls=1), [calls(search("kites")), calls(search("more"), text="Well. ")])
    assert told.kinds == ["web_search_call", "message"]
    assert told.stream[-1]["type"] == "response.completed"
    assert told.rounds.noted["not_made"] == 1


def test_a_model_that_asks_the_same_again_is_told_the_same_and_charged_once() -> None:
    told = Told(asked(), [calls(search("kites")), calls(search("Kites ")), says("Yes.")])
    assert told.queries == ["kites"]
    assert told.outputs[0] == told.outputs[1]
    assert told.rounds.fees[0].count == 1


@pytest.mark.parametrize("arguments", ["{", "[]", "{}", '{"query":""}', '{"query":" "}', '{"query":7}', "null", '"x"'])
def test_broken_arguments_are_told_and_three_idle_turns_end_the_tools(arguments: str) -> None:
    broken = calls(("web_search", arguments))
    told = Told(asked(), [broken, broken, broken, says("I give up.")])
    assert told.queries == []
    assert told.kinds == ["message"]
    assert all(output.startswith("This search was not made: its arguments") for output in told.outputs)
    assert [each.tool_choice for each in told.requests] == [None, None, None, "none"]


def test_beside_a_call_of_the_clients_ours_is_neither_made_nor_told() -> None:
    request = asked(tools=[{"type": "web_search"}, LOOK])
    told = Told(request, [calls(search("kites"), ("look", '{"at":1}'), search("wind"))])
    assert told.kinds == ["function_call"]
    assert told.stream[-1]["response"]["output"][0]["arguments"] == '{"at":1}'
    assert told.rounds.noted == {
        "engine": "lake", "searches": 0, "results": 0, "ms": 0, "not_made": 2,
    }  # fmt: skip


def test_a_call_that_ran_into_the_limit_is_not_made() -> None:
    cut = [*calls(search("kites"), text="Hm. ")[:-3], chunk(finish="length"), usage_chunk(), "[DONE]"]
    told = Told(asked(), [cut])
    assert told.queries == []
    assert told.kinds == ["message"]
    assert told.stream[-1]["type"] == "response.incomplete"


def test_a_name_that_a_client_has_given_away_is_not_ours() -> None:
    own = {"type": "function", "name": "web_search", "parameters": {"type": "object"}}
    request = asked(tools=[own, {"type": "web_search"}])
    step = step_of(request)
    assert [tool.name for tool in step.asked.tools if isinstance(tool, FunctionTool)] == ["web_search", "web_search_2"]
    told = Told(request, [calls(("web_search", '{"query":"x"}'))])
    assert told.kinds == ["function_call"]


def test_results_of_other_domains_are_left_out() -> None:
    request = asked(tools=[{"type": "web_search", "filters": {"allowed_domains": ["boats.example"]}}])
    told = Told(request, [calls(search("kites")), says("Nothing.")])
    assert "kites.example" not in told.outputs[0]


def test_what_a_search_found_is_told_with_titles_and_days() -> None:
    told = Told(asked(), [calls(search("kites")), says("Kites fly.")])
    (made,) = [delta for delta in told.deltas if isinstance(delta, Search) and delta.status == "completed"]
    assert made.results == (Page(PAGE.url, PAGE.title, PAGE.date),)
    assert [page.url for page in made.results] == list(made.sources)


def test_an_answer_that_a_provider_ended_at_a_stop_text_keeps_its_name() -> None:
    rounds = Rounds(step_of(asked(stop=["END"])), iter(["a", "b"]))
    rounds.feed([Began("m"), Text(0, "Kites."), Stopped("stop", "END")])
    assert rounds.turn_over() == End([Stopped("stop", "END")])


class TestOrder:
    """Which steps a request has."""

    def test_with_nothing_configured_the_same_objects_come_back(self) -> None:
        request = asked(tools=[LOOK])
        same, steps = order(request, Settings())
        assert same is request
        assert steps is NO_STEPS

    def test_without_an_engine_the_tool_stays_with_who_searches_by_itself(self) -> None:
        request = asked()
        assert order(request, Settings()) == (request, NO_STEPS)

    def test_moderation_without_an_engine_is_refused_and_it_is_said_what_is_missing(self) -> None:
        with pytest.raises(BadRequest, match=r"\[moderation.NAME\] in its settings"):
            order(asked(plugins=[{"id": "moderation"}]), SETTINGS, ["lake"])

    @pytest.mark.parametrize("ocr", ["", None])
    def test_an_engine_for_scanned_files_that_is_not_there_is_refused(self, ocr: str | None) -> None:
        plugins = [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]
        with pytest.raises(BadRequest, match=r"\[ocr.NAME\]"):
            order(asked(plugins=plugins), SETTINGS, ["lake"], ocr)
        assert order(asked(plugins=plugins, tools=[LOOK]), SETTINGS, ["lake"], "reader")[1].files is None

    def test_the_web_plugin_without_an_engine_is_refused_and_it_is_said_what_is_missing(self) -> None:
        with pytest.raises(BadRequest, match=r"a search engine for it \(\[search.NAME\] in its settings\)"):
            order(asked(plugins=[{"id": "web"}], tools=[]), Settings())

    def test_of_several_engines_that_of_the_operator_is_meant_and_one_that_is_off_is_none(self) -> None:
        web = WebSettings(engine="sea")
        several = Settings(search={"lake": LAKE, "sea": LAKE}, plugins=PluginsSettings(web=web))
        plugin = asked(tools=[], plugins=[{"id": "web", "engine": "exa"}])
        assert step_of(plugin, several).engine == "sea"
        with pytest.raises(BadRequest, match="is not configured"):
            order(plugin, several, ["lake"])

    @pytest.mark.parametrize("kind", get_args(SearchToolType))
    def test_all_types_of_the_tool_are_one_function(self, kind: str) -> None:
        step = step_of(asked(tools=[{"type": kind, "search_context_size": "low"}]))
        assert [tool.name for tool in step.asked.tools if isinstance(tool, FunctionTool)] == ["web_search"]
        assert (step.characters, step.max_results, step.most, step.engine) == (1_500, 5, 30, "lake")

    @pytest.mark.parametrize("name", ["m:online", "m:nitro:online", "m: ONLINE :floor"])
    def test_online_is_the_plugin_and_other_suffixes_stay(self, name: str) -> None:
        step = step_of(asked(model=name, tools=[]))
        assert (step.query_text, step.is_offered) == ("What of kites?", False)
        assert step.asked.model == name.replace(":online", "").replace(": ONLINE ", "")

    def test_what_a_request_says_goes_before_the_defaults(self) -> None:
        defaults = Settings(search=SETTINGS.search, plugins=PluginsSettings(defaults=["web"]))
        assert order(asked(tools=[]), defaults, ["lake"])[1].search is not None
        off = asked(tools=[], plugins=[{"id": "web", "enabled": False}])
        assert order(off, defaults, ["lake"])[1].search is None
        step = step_of(asked(tools=[], plugins=[{"id": "web", "max_results": 2, "search_prompt": "Look:"}]), defaults)
        assert (step.max_results, step.prompt) == (2, "Look:")

    @pytest.mark.parametrize("choice", ["required", {"type": "web_search"}])
    def test_a_search_that_must_and_may_not_be_made_is_refused(self, choice: Any) -> None:
        with pytest.raises(BadRequest, match="max_tool_calls"):
            order(asked(tool_choice=choice, max_tool_calls=0), SETTINGS, ["lake"])

    @pytest.mark.parametrize("more", [{"tool_choice": "none"}, {"max_tool_calls": 0}])
    def test_a_search_that_may_not_be_made_is_not_offered(self, more: Any) -> None:
        assert order(asked(**more), SETTINGS, ["lake"]) == (asked(**more), NO_STEPS)


def test_the_plugin_tells_its_search_first_and_the_results_before_the_last_turn() -> None:
    request = asked(tools=[], plugins=[{"id": "web", "search_prompt": "Found:"}], input=[
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "What of  kites?"},
    ])  # fmt: skip
    step = step_of(request)
    rounds = Rounds(step, iter(["a", "b", "c"]))
    first = rounds.first_search()
    assert first.query.text == "What of kites?"
    rounds.hold([*rounds.begun(first), *rounds.ended(first, Found("lake", (PAGE,), 5, 0.1))])
    rounds.prompt(rounds.found(first))
    assert rounds.request.paths.spelled("input", 3, "content", 0) == "input[2].content[0]"
    said = rounds.request.input[2]
    assert isinstance(said, Message)
    assert said.role == "user"
    (part,) = said.content
    assert isinstance(part, InputText)
    assert part.text.startswith("Found:")
    assert rounds.request.input[3] == request.input[2]
    told = [type(delta).__name__ for batch in heard(request, sse(says("Yes.")), None) for delta in rounds.feed(batch)]
    assert told[:4] == ["Began", "Search", "Search", "Text"]


def test_steps_hold_what_is_asked_in_place_of_the_request() -> None:
    assert Steps(asked=asked()).search is None
