"""How the bytes of an answer are cut."""

from __future__ import annotations

import pytest

from trunkline.stream.aws_events import AwsEventFraming
from trunkline.stream.framing import WholeBody, framing_for, is_telling
from trunkline.stream.sse import SseFraming
from trunkline.wire import Malformed

SSE_LABELS = (
    "text/event-stream",
    "Text/Event-Stream",
    " TEXT/EVENT-STREAM ;charset=utf-8",
    "application/event-stream",
)
OTHER_LABELS = ("application/json", "application/json; profile=text/event-stream", "text/plain", "image/png", "")


@pytest.mark.parametrize("start", [b"{", b"[", b' \r\n\t{"a"', b"\xef\xbb\xbf {", b"[{"])
@pytest.mark.parametrize("label", SSE_LABELS + OTHER_LABELS)
def test_B4_what_begins_like_json_is_whole(label: str, start: bytes) -> None:
    assert is_telling(start)
    assert type(framing_for(label, start)) is WholeBody


@pytest.mark.parametrize("start", [b"data: {", b"event: x", b": ping", b"\n\nid: 1", b"retry: 3", b"error: {"])
@pytest.mark.parametrize("label", SSE_LABELS + OTHER_LABELS)
def test_B4_what_begins_like_events_is_events(label: str, start: bytes) -> None:
    assert type(framing_for(label, start)) is SseFraming


@pytest.mark.parametrize("start", [b"<html>", b"\x89PNG", b"null", b'"no"', b"Unauthorized", b"database"])
def test_B4_for_all_else_the_label_decides(start: bytes) -> None:
    assert {type(framing_for(label, start)) for label in SSE_LABELS} == {SseFraming}
    assert {type(framing_for(label, start)) for label in OTHER_LABELS} == {WholeBody}


@pytest.mark.parametrize("start", [b"", b" \n", b"d", b"dat", b"  even"])
def test_B4_too_little_waits_for_more(start: bytes) -> None:
    assert not is_telling(start)
    assert {type(framing_for(label, start)) for label in OTHER_LABELS} == {WholeBody}
    assert {type(framing_for(label, start)) for label in SSE_LABELS} == {SseFraming}


@pytest.mark.parametrize("label", ["application/vnd.amazon.eventstream", "Application/Vnd.Amazon.EventStream;x=y"])
@pytest.mark.parametrize("start", [b"", b"{", b"data:", b"\0\0"])
def test_B4_the_events_of_aws_are_known_by_their_label(label: str, start: bytes) -> None:
    assert type(framing_for(label, start)) is AwsEventFraming


def test_a_body_is_handed_over_whole_and_within_its_bound() -> None:
    body = WholeBody(5)
    assert body.feed(b"abc") == body.feed(b"de") == []
    assert [message.data for message in body.flush()] == [b"abcde"]
    with pytest.raises(Malformed):
        body.feed(b"f")
