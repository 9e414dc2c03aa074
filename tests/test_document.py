"""What `protocol` renders against the OpenAPI document, and the types against its enums; the oracle itself too."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import pytest

from tests.document import (
    ERROR_STATUSES,
    EVENT_TYPES,
    SCHEMAS,
    UNLISTED,
    DocumentError,
    check_stream,
    independent_fold,
    validate_error,
    validate_event,
    validate_request,
    validate_response,
)
from tests.wider import WIDER_EVENTS
from trunkline import errors
from trunkline.protocol import events, items, opaque, preferences, request, response, tools
from trunkline.protocol.render import render_error, render_event, render_response

USAGE = response.ResponseUsage(
    input_tokens=7,
    input_tokens_details=response.InputTokensDetails(cached_tokens=2),
    output_tokens=5,
    output_tokens_details=response.OutputTokensDetails(reasoning_tokens=1),
    total_tokens=12,
    cost=Decimal("0.00012"),
    is_byok=False,
    cost_details=response.CostDetails(None, Decimal("0.00005"), Decimal("0.00007")),
)
LOGPROB = items.Logprob("a", (97,), -0.5, (items.TopLogprob("b", (98,), -1.5),))
URL_CITATION = items.UrlCitation("https://example.org", "Example", 0, 5)
ANNOTATIONS: tuple[items.Annotation, ...] = (
    URL_CITATION,
    items.FileCitation("file_1", "a.pdf", 0),
    items.FilePath("file_1", 0),
)
TEXT = items.OutputText("Hello", ANNOTATIONS, (LOGPROB,))
REFUSAL = items.RefusalPart("No.")
REASONING = items.ReasoningText("Hm.")
SUMMARY = items.SummaryText("Thought.")

OUTPUT_ITEMS: tuple[items.OutputItem, ...] = (
    items.Message(id="msg_1", role="assistant", status="completed", content=(TEXT, REFUSAL)),
    items.Message(id="msg_2", role="assistant", content=()),
    items.ReasoningItem(id="rs_1"),
    items.ReasoningItem(
        id="rs_2",
        summary=(SUMMARY,),
        content=(REASONING,),
        encrypted_content="abc",
        signature="def",
        format="anthropic-claude-v1",
        status="incomplete",
    ),
    items.FunctionCallItem(id="fc_1", call_id="call_1", name="f", arguments="{}", status="completed"),
    items.FunctionCallItem(id="fc_2", call_id="call_2", name="f", namespace="ns", arguments="{}", status="completed"),
    items.CustomCallItem(id="ctc_1", call_id="call_3", name="patch", input="a\nb", status="completed"),
    items.CustomCallItem(id="ctc_2", call_id="call_4", name="exec", input="", namespace="ns", status="in_progress"),
    items.ToolSearchCallItem(id="tsc_1", call_id="call_5", arguments={"query": "q"}, status="completed"),
    items.LocalShellCallItem(
        id="lsh_1", call_id="call_6", action={"type": "exec", "command": ["ls"], "env": {}}, status="completed"
    ),
    opaque.ServerItem({"type": "mcp_call", "id": "mcp_1", "name": "f", "server_label": "s", "arguments": "{}"}),
    opaque.ServerItem({"type": "tool_search_call", "id": "tsc_2", "execution": "server", "arguments": {}}),
    items.WebSearchCall(id="ws_1", status="failed", action=items.SearchAction("", ())),
    items.WebSearchCall(
        id="ws_2",
        status="completed",
        action=items.SearchAction("a", ("a", "b"), (items.WebSource("https://a.example"),)),
    ),
    items.WebSearchCall(id="ws_3", status="completed", action=items.OpenPageAction("https://a.example")),
    items.WebSearchCall(id="ws_4", status="completed", action=items.FindInPageAction("https://a.example", "kite")),
    items.FileSearchCall(id="fs_1", queries=("a",), status="completed"),
    items.ImageGenerationCall(id="ig_1", status="generating"),
    items.ImageGenerationCall(id="ig_2", result="data:image/png;base64,AA==", status="completed"),
)

LOCATION = tools.UserLocation(city="Bern")
TOOLS: tuple[tools.Tool, ...] = (
    tools.FunctionTool("f"),
    tools.FunctionTool("g", "What it does", {"type": "object"}, True),
    tools.SearchTool("web_search", tools.SearchFilters(("example.org",)), "low", LOCATION),
    tools.SearchTool("web_search_2025_08_26", None, "high", None),
    tools.SearchTool("web_search_preview", user_location=LOCATION),
    tools.SearchTool("web_search_preview_2025_03_11"),
)

BEGUN = response.Response(id="resp_1", created_at=1, status="in_progress", model="a/b")
COMPLETED = msgspec.structs.replace(
    BEGUN, status="completed", completed_at=2, output=OUTPUT_ITEMS, output_text="Hello", usage=USAGE
)
RESPONSES = (
    pytest.param(BEGUN, id="begun"),
    pytest.param(COMPLETED, id="completed with every kind of item"),
    pytest.param(
        msgspec.structs.replace(
            BEGUN, status="incomplete", incomplete_details=response.IncompleteDetails("content_filter"), usage=USAGE
        ),
        id="incomplete",
    ),
    pytest.param(
        msgspec.structs.replace(BEGUN, status="failed", error=response.ResponseError("server_error", "Broke off.")),
        id="failed",
    ),
    pytest.param(
        msgspec.structs.replace(
            COMPLETED,
            usage=msgspec.structs.replace(USAGE, cost=None),
            instructions="Be kind.",
            metadata=None,
            tools=TOOLS,
            tool_choice=tools.FunctionChoice("f"),
            parallel_tool_calls=False,
            text=tools.TextConfig(tools.JsonSchemaFormat("s", {"type": "object"}, "What", True), "low"),
            reasoning=response.ReasoningEcho("xhigh", "auto"),
            max_output_tokens=5,
            max_tool_calls=1,
            truncation="auto",
            service_tier="flex",
            prompt_cache_key="k",
            safety_identifier="s",
            user="u",
            prompt={"id": "p"},
        ),
        id="with every echo set",
    ),
    pytest.param(
        msgspec.structs.replace(
            COMPLETED,
            metadata={"a": "b"},
            tool_choice=tools.SearchChoice("web_search_preview"),
            text=tools.TextConfig(tools.JsonObjectFormat()),
            reasoning=response.ReasoningEcho(None),
        ),
        id="with other echoes",
    ),
)

EVENTS: tuple[events.Event, ...] = (
    events.ResponseCreated(0, BEGUN),
    events.ResponseInProgress(1, BEGUN),
    events.ResponseCompleted(2, COMPLETED),
    events.ResponseIncomplete(2, COMPLETED),
    events.ResponseFailed(2, COMPLETED),
    events.ErrorEvent(0, None, "Broke off.", None),
    events.ErrorEvent(0, "server_error", "Broke off.", "input"),
    *(events.OutputItemAdded(2, 0, item) for item in OUTPUT_ITEMS),
    *(events.OutputItemDone(2, 0, item) for item in OUTPUT_ITEMS),
    *(events.ContentPartAdded(2, "msg_1", 0, 0, part) for part in (TEXT, REFUSAL, REASONING)),
    *(events.ContentPartDone(2, "msg_1", 0, 0, part) for part in (TEXT, REFUSAL, REASONING)),
    events.OutputTextDelta(2, "msg_1", 0, 0, "He", (LOGPROB,)),
    events.OutputTextDone(2, "msg_1", 0, 0, "Hello", ()),
    *(events.AnnotationAdded(2, "msg_1", 0, 0, 0, annotation) for annotation in ANNOTATIONS),
    events.RefusalDelta(2, "msg_1", 0, 0, "N"),
    events.RefusalDone(2, "msg_1", 0, 0, "No."),
    events.ArgumentsDelta(2, "fc_1", 0, "{"),
    events.ArgumentsDone(2, "fc_1", 0, "f", "{}"),
    events.CustomInputDelta(2, "ctc_1", 0, "a"),
    events.CustomInputDone(2, "ctc_1", 0, "a\nb"),
    events.ReasoningTextDelta(2, "rs_1", 0, 0, "H"),
    events.ReasoningTextDone(2, "rs_1", 0, 0, "Hm."),
    events.SummaryPartAdded(2, "rs_1", 0, 0, SUMMARY),
    events.SummaryPartDone(2, "rs_1", 0, 0, SUMMARY),
    events.SummaryTextDelta(2, "rs_1", 0, 0, "T"),
    events.SummaryTextDone(2, "rs_1", 0, 0, "Thought."),
    events.ImageInProgress(2, "ig_1", 0),
    events.ImageGenerating(2, "ig_1", 0),
    events.ImagePartial(2, "ig_1", 0, 0, "AA=="),
    events.ImageCompleted(2, "ig_1", 0),
)


def leaf_errors(tree: type[errors.GatewayError]) -> list[type[errors.GatewayError]]:
    """List the classes of errors that have no subclass, the ones told to clients."""
    below = [leaf for branch in tree.__subclasses__() for leaf in leaf_errors(branch)]
    return below or [tree] if tree.__module__ == errors.__name__ else []


ERRORS = leaf_errors(errors.GatewayError)


# What is rendered


@pytest.mark.parametrize("answer", RESPONSES)
def test_rendered_responses_fit_the_document(answer: response.Response) -> None:
    validate_response(json.loads(render_response(answer)))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_rendered_events_fit_the_document(event: events.Event) -> None:
    validate_event(json.loads(render_event(event)))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_rendered_errors_fit_the_document(error: type[errors.GatewayError]) -> None:
    figures: dict[str, Any] = {"limit": 60, "remaining": 0, "reset_ms": 5} if error is errors.RateLimited else {}
    validate_error(error.status, json.loads(render_error(error("Broke off.", metadata={"a": [1]}, **figures))))
    validate_error(error.status, json.loads(render_error(error("Broke off.", **figures), "user_1")))


# The types against the document


def test_there_is_one_struct_for_each_event_of_the_document() -> None:
    tags = [struct.__struct_config__.tag for struct in get_args(events.Event)]
    assert sorted(tags) == sorted(EVENT_TYPES)
    assert len(tags) == 27 + len(WIDER_EVENTS)
    assert {type(event).__struct_config__.tag for event in EVENTS} == EVENT_TYPES


def test_every_error_status_of_the_document_has_a_class() -> None:
    assert {error.status for error in ERRORS} == ERROR_STATUSES | UNLISTED


def enum_at(name: str, *path: str) -> set[str]:
    """Collect the non-null strings of the enums at a place in the document, through alternatives."""
    schema: Any = SCHEMAS[name]
    for step in path:
        schema = schema[int(step) if isinstance(schema, list) else step]
    alternatives = schema.get("anyOf", [schema])
    return {value for alternative in alternatives for value in alternative.get("enum", [])}


ENUMS = (
    pytest.param(response.ErrorCode, ("ResponsesErrorField", "properties", "code"), id="error code"),
    pytest.param(
        items.ReasoningFormat, ("OpenResponsesReasoning", "allOf", "1", "properties", "format"), id="reasoning format"
    ),
    pytest.param(request.Includable, ("OpenAIResponsesIncludable",), id="include"),
    pytest.param(response.ToldEffort, ("OpenAIResponsesReasoningEffort",), id="effort"),
    pytest.param(preferences.Quantization, ("Quantization",), id="quantization"),
    pytest.param(preferences.SortBy, ("ProviderSort",), id="sort"),
    pytest.param(preferences.Partition, ("ProviderSortConfig", "properties", "partition"), id="partition"),
    pytest.param(items.ItemStatus, ("ToolCallStatus",), id="item status"),
    pytest.param(items.ItemStatus, ("OutputMessage", "properties", "status"), id="message status"),
    pytest.param(items.SearchStatus, ("WebSearchStatus",), id="search status"),
    pytest.param(items.ImageStatus, ("ImageGenerationStatus",), id="image status"),
    pytest.param(items.Role, ("OpenResponsesEasyInputMessage", "properties", "role"), id="role"),
    pytest.param(tools.Verbosity, ("ResponseTextConfig", "properties", "verbosity"), id="verbosity"),
)


@pytest.mark.parametrize(("literal", "place"), ENUMS)
def test_literals_are_the_enums_of_the_document(literal: object, place: tuple[str, ...]) -> None:
    assert set(get_args(literal)) == enum_at(*place)


@pytest.mark.parametrize(
    ("struct", "field", "place"),
    [
        (response.Response, "service_tier", ("OpenAIResponsesServiceTier",)),
        (response.Response, "truncation", ("OpenAIResponsesTruncation",)),
        (request.Request, "truncation", ("OpenAIResponsesTruncation",)),
        (request.Request, "route", ("OpenResponsesRequest", "properties", "route")),
        (request.ReasoningConfig, "summary", ("ReasoningSummaryVerbosity",)),
        (response.ReasoningEcho, "summary", ("ReasoningSummaryVerbosity",)),
        (response.IncompleteDetails, "reason", ("OpenAIResponsesIncompleteDetails", "properties", "reason")),
        (preferences.ProviderPreferences, "data_collection", ("DataCollection",)),
        (preferences.WebPlugin, "engine", ("WebSearchEngine",)),
        (preferences.FileParserPlugin, "engine", ("PDFParserEngine",)),
        (tools.SearchTool, "search_context_size", ("ResponsesSearchContextSize",)),
        (items.InputImage, "detail", ("ResponseInputImage", "properties", "detail")),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", None),
)
def test_literal_fields_are_the_enums_of_the_document(struct: Any, field: str, place: tuple[str, ...]) -> None:
    beside = {"original"} if field == "detail" else set()  # OpenAI's newest, which sessions bring along
    assert literal_strings(struct, field) == enum_at(*place) | beside


def test_a_request_may_ask_for_more_effort_than_a_response_tells() -> None:
    assert set(get_args(request.Effort)) - set(get_args(response.ToldEffort)) == {"max", "ultra"}


def literal_strings(struct: Any, field: str) -> set[str]:
    """Collect the strings a field of a struct may hold."""
    hint = get_type_hints(struct)[field]
    literals = [hint] if get_origin(hint) is Literal else [one for one in get_args(hint) if get_origin(one) is Literal]
    return {value for literal in literals for value in get_args(literal)}


def test_response_statuses_are_those_of_the_document_that_are_ever_sent() -> None:
    assert enum_at("OpenAIResponsesResponseStatus") - set(get_args(response.ResponseStatus)) == {"cancelled", "queued"}


def test_the_response_has_every_property_of_the_document_and_no_other() -> None:
    assert set(response.Response.__struct_fields__) == set(SCHEMAS["OpenAIResponsesNonStreamingResponse"]["properties"])


def test_the_request_has_every_property_of_the_document_that_leaves_a_choice() -> None:
    fixed = {"store", "background", "previous_response_id"}
    found_out = {"ignored", "sampling", "stop", "has_extensions", "is_text_alone", "measured", "size", "reads_files"}
    found_out |= {"paths", "anthropic", "limit_is_wish", "has_marks", "has_prefill", "logprobs", "prediction"}
    ours = set(request.Request.__struct_fields__) - found_out
    assert set(SCHEMAS["OpenResponsesRequest"]["properties"]) - fixed == ours


def test_the_preferences_have_every_property_of_the_document_and_no_other() -> None:
    properties = SCHEMAS["OpenResponsesRequest"]["properties"]["provider"]["properties"]
    assert set(properties) == set(preferences.ProviderPreferences.__struct_fields__)


# The oracle


def valid_response(**changes: Any) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(render_response(COMPLETED))
    return {**answer, **changes}


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": "done"}, id="a status that is not in the enum"),
        pytest.param({"completed_at": "2"}, id="a string for a nullable number"),
        pytest.param({"parallel_tool_calls": None}, id="null where the document has no nullable"),
        pytest.param({"usage": None}, id="usage null"),
        pytest.param(
            {"output": [{"type": "message", "id": "m", "role": "user", "content": []}]}, id="a user's message"
        ),
        pytest.param(
            {"output": [{"type": "custom_tool_call", "id": "c", "call_id": "c", "name": "f", "input": {}}]},
            id="a raw text that is none",
        ),
        pytest.param(
            {
                "output": [
                    {
                        "type": "tool_search_call",
                        "id": "t",
                        "call_id": "c",
                        "status": "completed",
                        "execution": "client",
                        "arguments": "{}",
                    }
                ]
            },
            id="a search with text",
        ),
        pytest.param({"output": [{"type": "new_call", "id": "t"}]}, id="an item that nobody knows"),
        pytest.param({"truncation": "middle"}, id="a nullable enum with another string"),
        pytest.param({"instructions": 5}, id="a number where a bare nullable stands among alternatives"),
        pytest.param({"metadata": {"a": 1}}, id="metadata that is not text"),
    ],
)
def test_the_oracle_refuses(changes: dict[str, Any]) -> None:
    validate_response(valid_response())
    with pytest.raises(DocumentError):
        validate_response(valid_response(**changes))


@pytest.mark.parametrize("body", [{"store": True}, {"provider": {"x": 1}}, {"temperature": 3}, {"user": "x" * 129}])
def test_the_oracle_refuses_requests(body: dict[str, Any]) -> None:
    validate_request({"input": "Hi", "instructions": None, "provider": {"sort": None}})
    with pytest.raises(DocumentError):
        validate_request(body)


def test_the_oracle_refuses_an_error_whose_code_is_not_the_status() -> None:
    with pytest.raises(DocumentError, match=r"error\.code"):
        validate_error(404, {"error": {"code": 400, "message": "m"}})


def whole_stream() -> list[dict[str, Any]]:
    """Make a stream with a reasoning item, a message, two interleaved calls and an image."""
    said = items.OutputText("Hello", (URL_CITATION,), (LOGPROB,))
    thought = items.ReasoningItem(
        id="rs_1", summary=(SUMMARY,), content=(REASONING,), encrypted_content="x", status="completed"
    )
    message = items.Message(id="msg_1", role="assistant", status="completed", content=(said, REFUSAL))
    one = items.FunctionCallItem(id="fc_1", call_id="c1", name="f", arguments='{"a":1}', status="completed")
    two = items.FunctionCallItem(id="fc_2", call_id="c2", name="g", arguments="{}", status="completed")
    image = items.ImageGenerationCall(id="ig_1", result="data:image/png;base64,AA==", status="completed")
    begun_call = msgspec.structs.replace
    told: list[Callable[[int], events.Event]] = [
        lambda n: events.ResponseCreated(n, BEGUN),
        lambda n: events.ResponseInProgress(n, BEGUN),
        lambda n: events.OutputItemAdded(n, 0, items.ReasoningItem(id="rs_1", status="in_progress")),
        lambda n: events.SummaryPartAdded(n, "rs_1", 0, 0, items.SummaryText("")),
        lambda n: events.SummaryTextDelta(n, "rs_1", 0, 0, "Thought."),
        lambda n: events.SummaryTextDone(n, "rs_1", 0, 0, "Thought."),
        lambda n: events.SummaryPartDone(n, "rs_1", 0, 0, SUMMARY),
        lambda n: events.ContentPartAdded(n, "rs_1", 0, 0, items.ReasoningText("")),
        lambda n: events.ReasoningTextDelta(n, "rs_1", 0, 0, "H"),
        lambda n: events.ReasoningTextDelta(n, "rs_1", 0, 0, "m."),
        lambda n: events.ReasoningTextDone(n, "rs_1", 0, 0, "Hm."),
        lambda n: events.ContentPartDone(n, "rs_1", 0, 0, REASONING),
        lambda n: events.OutputItemDone(n, 0, thought),
        lambda n: events.OutputItemAdded(
            n, 1, items.Message(id="msg_1", role="assistant", status="in_progress", content=())
        ),
        lambda n: events.ContentPartAdded(n, "msg_1", 1, 0, items.OutputText("")),
        lambda n: events.OutputTextDelta(n, "msg_1", 1, 0, "Hel", (LOGPROB,)),
        lambda n: events.AnnotationAdded(n, "msg_1", 1, 0, 0, URL_CITATION),
        lambda n: events.OutputTextDelta(n, "msg_1", 1, 0, "lo", ()),
        lambda n: events.OutputTextDone(n, "msg_1", 1, 0, "Hello", (LOGPROB,)),
        lambda n: events.ContentPartDone(n, "msg_1", 1, 0, said),
        lambda n: events.ContentPartAdded(n, "msg_1", 1, 1, items.RefusalPart("")),
        lambda n: events.RefusalDelta(n, "msg_1", 1, 1, "No."),
        lambda n: events.RefusalDone(n, "msg_1", 1, 1, "No."),
        lambda n: events.ContentPartDone(n, "msg_1", 1, 1, REFUSAL),
        lambda n: events.OutputItemDone(n, 1, message),
        lambda n: events.OutputItemAdded(n, 2, begun_call(one, arguments="", status="in_progress")),
        lambda n: events.ArgumentsDelta(n, "fc_1", 2, '{"a"'),
        lambda n: events.OutputItemAdded(n, 3, begun_call(two, arguments="", status="in_progress")),
        lambda n: events.ArgumentsDelta(n, "fc_1", 2, ":1}"),
        lambda n: events.ArgumentsDone(n, "fc_1", 2, "f", '{"a":1}'),
        lambda n: events.OutputItemDone(n, 2, one),
        lambda n: events.ArgumentsDone(n, "fc_2", 3, "g", "{}"),
        lambda n: events.OutputItemDone(n, 3, two),
        lambda n: events.OutputItemAdded(n, 4, items.ImageGenerationCall(id="ig_1", status="in_progress")),
        lambda n: events.ImageInProgress(n, "ig_1", 4),
        lambda n: events.ImageGenerating(n, "ig_1", 4),
        lambda n: events.ImagePartial(n, "ig_1", 4, 0, "AA=="),
        lambda n: events.ImageCompleted(n, "ig_1", 4),
        lambda n: events.OutputItemDone(n, 4, image),
        lambda n: events.ResponseCompleted(
            n, msgspec.structs.replace(COMPLETED, output=(thought, message, one, two, image))
        ),
    ]
    return [json.loads(render_event(tell(number))) for number, tell in enumerate(told)]


def renumbered(stream: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**event, "sequence_number": number} for number, event in enumerate(stream)]


def test_a_whole_stream_keeps_the_grammar_and_folds_to_its_output() -> None:
    stream = whole_stream()
    check_stream(stream)
    final = stream[-1]["response"]
    assert independent_fold(stream) == {"output": final["output"], "output_text": final["output_text"]}
    assert independent_fold(stream[:-1]) == independent_fold(stream)


def test_a_lone_error_event_is_a_whole_stream() -> None:
    check_stream([json.loads(render_event(events.ErrorEvent(0, None, "Broke off.", None)))])


def test_an_error_event_in_place_of_a_failed_response_breaks_the_grammar() -> None:
    stream = whole_stream()
    stream[-1] = json.loads(render_event(events.ErrorEvent(len(stream) - 1, None, "Broke off.", None)))
    with pytest.raises(DocumentError, match="response that can fail"):
        check_stream(stream)


# Taking out these leaves a stream that is shorter and still right.
MAY_BE_MISSING = {"response.image_generation_call.partial_image"}


@pytest.mark.parametrize("number", range(len(whole_stream())))
def test_a_stream_with_one_event_missing_breaks_the_grammar(number: int) -> None:
    stream = whole_stream()
    missing = stream.pop(number)
    with pytest.raises(DocumentError):
        check_stream(stream)
    if missing["type"] not in MAY_BE_MISSING:
        with pytest.raises(DocumentError):
            check_stream(renumbered(stream))


@pytest.mark.parametrize("number", range(len(whole_stream())))
def test_a_stream_with_one_event_twice_breaks_the_grammar(number: int) -> None:
    stream = whole_stream()
    twice = copy.deepcopy(stream[number])
    with pytest.raises(DocumentError):
        check_stream(renumbered([*stream[: number + 1], twice, *stream[number + 1 :]]))


@pytest.mark.parametrize(
    ("number", "key", "value"),
    [
        pytest.param(4, "delta", "Thinks.", id="a summary delta that is not in the text done"),
        pytest.param(9, "item_id", "rs_2", id="an item id that changes"),
        pytest.param(15, "output_index", 0, id="an event for an item already done"),
        pytest.param(15, "logprobs", [], id="logprobs that are only in the text done"),
        pytest.param(29, "name", "h", id="a call done under another name"),
        pytest.param(31, "arguments", "[]", id="arguments no delta told"),
        pytest.param(36, "partial_image_index", 1, id="a partial image index skipped"),
    ],
)
def test_a_stream_that_contradicts_itself_breaks_the_grammar(number: int, key: str, value: Any) -> None:
    stream = whole_stream()
    assert key in stream[number]
    stream[number][key] = value
    with pytest.raises(DocumentError):
        check_stream(stream)


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda last: last.pop("usage"), id="without usage"),
        pytest.param(lambda last: last["usage"].pop("cost"), id="without a cost"),
        pytest.param(lambda last: last["output"].pop(), id="without the last item"),
        pytest.param(lambda last: last["output"].reverse(), id="with the items in another order"),
        pytest.param(lambda last: last.update(output_text="Hell"), id="with another output_text"),
        pytest.param(lambda last: last.update(id="resp_2"), id="with another id"),
        pytest.param(lambda last: last.update(status="failed"), id="with the status of another event"),
    ],
)
def test_the_oracle_refuses_a_last_response(spoil: Callable[[dict[str, Any]], object]) -> None:
    stream = whole_stream()
    spoil(stream[-1]["response"])
    with pytest.raises(DocumentError):
        check_stream(stream)
