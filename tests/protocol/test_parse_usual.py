"""What is read in one call is what the readers make of it, and what they refuse is left to them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trunkline.protocol import parse_items, parse_tools
from trunkline.protocol.pairs import is_all_paired, pairs_of
from trunkline.protocol.parse_usual import usual_item

TEXT = {"type": "input_text", "text": "Hi"}
SAID = {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}

ITEMS: tuple[dict[str, Any], ...] = (
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": "Hello"},
    {"type": "message", "role": "developer", "content": [TEXT, TEXT]},
    {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "content": [SAID]},
    {"role": "assistant", "phase": "commentary", "content": [SAID, {"type": "refusal", "refusal": "No."}]},
    {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "Well"}]},
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm"}], "encrypted_content": "x"},
    {"type": "function_call", "id": "f1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
    {"type": "function_call_output", "call_id": "c1", "output": [TEXT]},
    {"type": "custom_tool_call", "call_id": "c1", "name": "f", "input": "x"},
    {"type": "custom_tool_call_output", "call_id": "c1", "output": "y"},
)
FUNCTION: dict[str, Any] = {
    "type": "function",
    "name": "f",
    "description": "Does f.",
    "parameters": {"type": "object", "properties": {}},
    "strict": False,
}

CITED = {"type": "url_citation", "url": "u", "title": "t", "start_index": 0, "end_index": -1}
LOGPROB = {"token": "a", "bytes": [300], "logprob": 0.0, "top_logprobs": []}
ODD: st.SearchStrategy[Any] = st.sampled_from(
    (
        *(None, True, 0, 1.0, "", "x", "x" * 65, "x" * 257, [], {}, [None], ["x"], [{}]),
        *("user", "system", "assistant", "tool", "completed", "in_progress", "done", "unknown", "commentary"),
        *("message", "reasoning", "function_call", "function_call_output", "item_reference", "custom_tool_call"),
        *([TEXT], [SAID], [{"text": "Hi"}], [{"type": "text", "text": "Hi"}], [{"type": "input_text"}]),
        [{**SAID, "annotations": [CITED]}],
        [{**SAID, "logprobs": [LOGPROB]}],
        [{**SAID, "annotations": None}],
        [{"type": "input_image", "image_url": "http://127.0.0.1/"}],
        [{"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}}],
        [{"type": "summary_text", "text": 1}],
        [{"type": "reasoning_text", "text": ""}],
    )
)
MEMBERS = sorted({name for item in ITEMS for name in item} | {"namespace", "signature", "format", "extra"})
TOOL_MEMBERS = sorted({*FUNCTION, "function", "defer_loading", "allowed_callers", "output_schema", "async", "extra"})


def changed(items: tuple[dict[str, Any], ...], members: list[str]) -> st.SearchStrategy[Any]:
    """Draw one of some objects, up to two of its members changed, added or left out."""
    changes = st.lists(st.tuples(st.sampled_from(members), ODD | st.just(...)), max_size=2)
    return st.tuples(st.sampled_from(items), changes).map(_change)


def _change(case: tuple[dict[str, Any], list[tuple[str, Any]]]) -> dict[str, Any]:
    value = {**case[0], **dict(case[1])}
    return {name: member for name, member in value.items() if member is not ...}


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: f"{item.get('type')} {item.get('role', '')}")
def test_usual_items_are_read_in_one_call(item: dict[str, Any]) -> None:
    assert usual_item(item) == parse_items.read_closely(item)


def test_a_usual_function_is_read_in_one_call() -> None:
    assert parse_tools.usual_function(FUNCTION) == parse_tools.read_closely(FUNCTION)


@pytest.mark.law
@given(changed(ITEMS, MEMBERS) | ODD)
@settings(max_examples=400)
def test_an_item_read_in_one_call_is_what_the_readers_make_of_it(value: Any) -> None:
    before = deepcopy(value)
    item = usual_item(value)
    assert item is None or item == parse_items.read_closely(value)
    assert value == before


@pytest.mark.law
@given(changed((FUNCTION,), TOOL_MEMBERS) | ODD)
@settings(max_examples=200)
def test_a_function_read_in_one_call_is_what_the_readers_make_of_it(value: Any) -> None:
    tool = parse_tools.usual_function(value)
    assert tool is None or tool == parse_tools.read_closely(value)


CALLS = st.sampled_from(
    (
        *({"type": "function_call", "call_id": own, "name": "f"} for own in "ab"),
        *({"type": "function_call_output", "call_id": own, "output": said} for own in "ab" for said in "xy"),
        {"type": "custom_tool_call", "call_id": "a", "name": "f", "input": ""},
        {"type": "custom_tool_call_output", "call_id": "a", "output": "x"},
        {"type": "local_shell_call", "id": "i", "call_id": "b", "action": {}},
        {"type": "local_shell_call_output", "id": "i", "output": "x"},
        {"type": "tool_search_call", "arguments": {}},
        {"type": "tool_search_output", "tools": []},
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hi"},
    )
)


@pytest.mark.law
@given(st.lists(CALLS, max_size=6))
@settings(max_examples=500)
def test_where_all_is_paired_each_pair_is_in_order(values: list[dict[str, Any]]) -> None:
    items = tuple(map(parse_items.read_closely, values))
    pairs = pairs_of(items)
    if is_all_paired(items, pairs):
        parse_items.check_each_pair(items, pairs)
