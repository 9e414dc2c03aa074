"""Characters cut in two between two messages of a stream: joined where both halves come, replaced where one does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.adapters.decoding.halves import Halves
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.protocol.items import InputText, Message
from trunkline.protocol.request import Request
from trunkline.stream.deltas import Failed, Stopped, Text
from trunkline.wire import WireMessage

FRAMES: Mapping[Dialect, tuple[Sequence[tuple[str, str]], tuple[str, str], Sequence[tuple[str, str]]]] = {
    "chat": (
        [],
        ("", '{"choices":[{"index":0,"delta":{"content":"%s"}}]}'),
        [("", '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'), ("", "[DONE]")],
    ),
    "responses": (
        [("response.created", '{"type":"response.created","response":{"id":"r"}}')],
        (
            "response.output_text.delta",
            '{"type":"response.output_text.delta","output_index":0,"content_index":0,"delta":"%s"}',
        ),
        [("response.completed", '{"type":"response.completed","response":{"status":"completed"}}')],
    ),
    "messages": (
        [
            ("message_start", '{"type":"message_start","message":{"id":"m"}}'),
            ("content_block_start", '{"type":"content_block_start","index":0,"content_block":{"type":"text"}}'),
        ],
        (
            "content_block_delta",
            '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"%s"}}',
        ),
        [
            ("content_block_stop", '{"type":"content_block_stop","index":0}'),
            ("message_delta", '{"type":"message_delta","delta":{"stop_reason":"end_turn"}}'),
            ("message_stop", '{"type":"message_stop"}'),
        ],
    ),
    "gemini": (
        [],
        ("", '{"candidates":[{"content":{"role":"model","parts":[{"text":"%s"}]}}]}'),
        [("", '{"candidates":[{"content":{"parts":[{"text":"."}]},"finishReason":"STOP"}]}')],
    ),
    "cohere": (
        [
            ("message-start", '{"type":"message-start"}'),
            (
                "content-start",
                '{"type":"content-start","index":0,"delta":{"message":{"content":{"type":"text","text":""}}}}',
            ),
        ],
        ("content-delta", '{"type":"content-delta","index":0,"delta":{"message":{"content":{"text":"%s"}}}}'),
        [("message-end", '{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}')],
    ),
    "converse": (
        [("messageStart", '{"role":"assistant"}')],
        ("contentBlockDelta", '{"contentBlockIndex":0,"delta":{"text":"%s"}}'),
        [
            ("contentBlockStop", '{"contentBlockIndex":0}'),
            ("messageStop", '{"stopReason":"end_turn"}'),
            ("metadata", '{"usage":{"inputTokens":1,"outputTokens":1}}'),
        ],
    ),
}
"""By dialect: how a stream opens, how it tells a piece of text, and how it closes; names of events beside them."""
FRAMES = {**FRAMES, "mistral": FRAMES["chat"]}


def said(dialect: Dialect, pieces: Sequence[str]) -> str:
    """Decode a stream of pieces, given as JSON writes them, to its text."""
    opening, (name, frame), closing = FRAMES[dialect]
    told = [*opening, *((name, frame.replace("%s", piece)) for piece in pieces), *closing]
    request = Request(input=(Message(role="user", content=(InputText("Hi"),)),), stream=True)
    endpoint = Endpoint(
        model=Model(slug="acme/one"),
        provider=Provider(slug="acme", name="Acme"),
        upstream_model="one",
        dialect=dialect,
        base_url="https://api.acme.example/v1",
    )
    decoder = ADAPTERS[dialect].decoder(request, endpoint)
    messages = [WireMessage(name or None, data.encode()) for name, data in told]
    deltas = [delta for message in messages for delta in decoder.message(message)]
    deltas += decoder.end()
    assert not any(isinstance(delta, Failed) for delta in deltas)
    assert any(isinstance(delta, Stopped) for delta in deltas)
    return "".join(delta.text for delta in deltas if isinstance(delta, Text)).removesuffix(".")


@pytest.mark.parametrize("dialect", FRAMES)
class TestStreams:
    def test_UP_22_a_character_cut_in_two_is_whole_again(self, dialect: Dialect) -> None:
        assert said(dialect, ["a", r"b\ud83d", r"\ude00c", "d"]) == "ab😀cd"

    def test_UP_22_so_are_two_in_a_row(self, dialect: Dialect) -> None:
        assert said(dialect, [r"\ud83d", r"\ude00 \uD83D", r"\uDE01"]) == "😀 😁"

    def test_UP_22_a_half_without_the_other_is_replaced(self, dialect: Dialect) -> None:
        assert said(dialect, ["a", r"b\ude00c", r"\ud83dd"]) == "ab\ufffdc\ufffdd"

    def test_whole_characters_are_left_as_they_are(self, dialect: Dialect) -> None:
        assert said(dialect, [r"\ud83d\ude00", r"\\ud83d", r"\u00e9"]) == r"😀\ud83dé"

    def test_what_is_broken_otherwise_stays_broken(self, dialect: Dialect) -> None:
        with pytest.raises(AssertionError):
            said(dialect, ["a", r"\ud83d\x", "b"])


FRAME = '{"text":"%s"}'


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x1FFFF, exclude_categories=["Cs"]), max_size=20), st.data()
)
def test_any_text_cut_anywhere_between_halves_is_read_as_it_was(text: str, data: st.DataObject) -> None:
    coded = text.encode("utf-16-be")
    units = [coded[start : start + 2] for start in range(0, len(coded), 2)]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(units) - 1)), max_size=6)))
    pieces = [units[start:end] for start, end in pairwise([0, *cuts, len(units)])]
    halves = Halves()
    read = ""
    for piece in pieces:
        message = WireMessage(None, FRAME.replace("%s", "".join(map(_written, piece))).encode())
        mended = halves.mended(message) or message
        read += msgspec.json.decode(mended.data)["text"]
    assert read == text


def _written(unit: bytes) -> str:
    return f"\\u{unit.hex()}"
