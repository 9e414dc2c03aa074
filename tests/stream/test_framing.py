"""How the bytes of an answer are cut."""

from __future__ import annotations

import pytest

from trunkline.stream.aws_events import AwsEventFraming
from trunkline.stream.framing import WholeBody, framing_for
from trunkline.stream.sse import SseFraming
from trunkline.wire import Malformed


@pytest.mark.parametrize(
    ("media_type", "framing"),
    [
        ("text/event-stream", SseFraming),
        ("Text/Event-Stream", SseFraming),
        ("text/event-stream; charset=utf-8", SseFraming),
        (" TEXT/EVENT-STREAM ;charset=utf-8", SseFraming),
        ("application/event-stream", SseFraming),
        ("application/vnd.amazon.eventstream", AwsEventFraming),
        ("Application/Vnd.Amazon.EventStream;x=y", AwsEventFraming),
        ("application/json", WholeBody),
        ("application/json; profile=text/event-stream", WholeBody),
        ("image/png", WholeBody),
        ("", WholeBody),
    ],
)
def test_ST_20_ST_21_the_media_type_decides(media_type: str, framing: type) -> None:
    assert type(framing_for(media_type)) is framing


def test_a_body_is_handed_over_whole_and_within_its_bound() -> None:
    body = WholeBody(5)
    assert body.feed(b"abc") == body.feed(b"de") == []
    assert [message.data for message in body.flush()] == [b"abcde"]
    with pytest.raises(Malformed):
        body.feed(b"f")
