"""The binary event framing of AWS, checked against frames that botocore can read."""

from __future__ import annotations

import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from trunkline.stream.aws_events import EXCEPTION, AwsEventFraming
from trunkline.wire import Malformed, WireMessage

LIMIT = 1 << 20


def header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(name)]) + name.encode() + b"\x07" + struct.pack("!H", len(encoded)) + encoded


def frame(headers: bytes, payload: bytes) -> bytes:
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    unsealed = prelude + struct.pack("!I", crc32(prelude)) + headers + payload
    return unsealed + struct.pack("!I", crc32(unsealed))


def event(name: str, payload: bytes) -> bytes:
    return frame(header(":event-type", name) + header(":message-type", "event"), payload)


def read(framing: AwsEventFraming, *chunks: bytes) -> list[WireMessage]:
    return [message for chunk in chunks for message in framing.feed(chunk)] + framing.flush()


FRAMES = st.lists(st.tuples(st.text(min_size=1, max_size=20), st.binary(max_size=200)), max_size=6)


@given(FRAMES, st.data())
def test_any_cut_of_the_bytes_gives_what_botocore_reads(frames: list[tuple[str, bytes]], data: st.DataObject) -> None:
    stream = b"".join(event(name, payload) for name, payload in frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    expected = [WireMessage(message.headers[":event-type"], message.payload) for message in theirs]
    assert read(AwsEventFraming(LIMIT), *chunks) == expected
    assert len(expected) == len(frames)


def test_ST_02_one_byte_at_a_time_gives_the_same_messages() -> None:
    stream = event("contentBlockDelta", '{"text":"Grüße 🪁"}'.encode()) * 3 + event("messageStop", b"{}")
    whole = read(AwsEventFraming(LIMIT), stream)
    assert read(AwsEventFraming(LIMIT), *(stream[i : i + 1] for i in range(len(stream)))) == whole
    assert [message.name for message in whole] == ["contentBlockDelta"] * 3 + ["messageStop"]


def test_an_exception_frame_is_named_by_its_type() -> None:
    headers = header(":exception-type", "throttlingException") + header(":message-type", "exception")
    assert read(AwsEventFraming(LIMIT), frame(headers, b'{"message":"slow down"}')) == [
        WireMessage(EXCEPTION + "throttlingException", b'{"message":"slow down"}')
    ]


def test_an_error_frame_tells_its_message_as_data() -> None:
    headers = (
        header(":error-code", "InternalError") + header(":error-message", 'a "b"') + header(":message-type", "error")
    )
    assert read(AwsEventFraming(LIMIT), frame(headers, b"")) == [
        WireMessage(EXCEPTION + "InternalError", b'{"message":"a \\"b\\""}')
    ]


def test_headers_of_every_type_are_passed_over() -> None:
    others = b"".join(
        bytes([2]) + b"h" + str(kind).encode() + bytes([kind]) + value
        for kind, value in {
            0: b"",
            1: b"",
            2: b"\x01",
            3: b"\x00\x01",
            4: b"\x00" * 4,
            5: b"\x00" * 8,
            6: b"\x00\x03abc",
            8: b"\x00" * 8,
            9: b"\x00" * 16,
        }.items()
    )
    stream = frame(others + header(":event-type", "metadata") + header(":message-type", "event"), b"{}")
    theirs = EventStreamBuffer()
    theirs.add_data(stream)
    assert next(iter(theirs)).headers[":event-type"] == "metadata"
    assert read(AwsEventFraming(LIMIT), stream) == [WireMessage("metadata", b"{}")]


def test_ST_07_a_frame_cut_short_says_nothing() -> None:
    stream = event("messageStart", b"{}") + event("messageStop", b"{}")
    for cut in range(len(event("messageStart", b"{}")), len(stream)):
        assert [message.name for message in read(AwsEventFraming(LIMIT), stream[:cut])] == ["messageStart"]


def test_ST_14_a_frame_beyond_the_bound_is_refused_before_it_is_gathered() -> None:
    prelude = struct.pack("!II", LIMIT + 1, 0)
    with pytest.raises(Malformed, match="larger"):
        AwsEventFraming(LIMIT).feed(prelude + struct.pack("!I", crc32(prelude)))


def flipped(data: bytes, index: int) -> bytes:
    return data[:index] + bytes([data[index] ^ 1]) + data[index + 1 :]


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    stream = event("contentBlockDelta", b'{"text":"abc"}')
    for index in range(len(stream)):
        with pytest.raises(Malformed):
            AwsEventFraming(LIMIT).feed(flipped(stream, index))


def test_what_came_whole_before_the_damage_is_told_however_the_bytes_are_cut() -> None:
    good, bad = event("messageStart", b"{}"), flipped(event("messageStop", b"{}"), 40)
    together, apart = AwsEventFraming(LIMIT), AwsEventFraming(LIMIT)
    assert together.feed(good + bad) == apart.feed(good) == [WireMessage("messageStart", b"{}")]
    with pytest.raises(Malformed, match="checksum"):
        together.feed(b"")
    with pytest.raises(Malformed, match="checksum"):
        together.flush()
    with pytest.raises(Malformed, match="checksum"):
        apart.feed(bad)


BROKEN_HEADERS = {
    "a value type that does not exist": b"\x01a\x0b",
    "a name that is cut off": b"\x09a",
    "a length that is cut off": b"\x01a\x07\x00",
    "a value that is cut off": b"\x01a\x07\x00\x09abc",
    "a number that is cut off": b"\x01a\x05\x00",
    "text that is not UTF-8": b"\x01a\x07\x00\x01\xff",
    "no message type": header(":event-type", "messageStop"),
    "an unknown message type": header(":message-type", "rumour"),
}


@pytest.mark.parametrize("headers", BROKEN_HEADERS.values(), ids=BROKEN_HEADERS.keys())
def test_broken_headers_are_malformed(headers: bytes) -> None:
    with pytest.raises(Malformed):
        AwsEventFraming(LIMIT).feed(frame(headers, b"{}"))


@pytest.mark.parametrize("lengths", [(15, 0), (16, 1), (0, 0), (20, 0xFFFFFFFF), (1 << 19, (1 << 17) + 1)])
def test_lengths_that_contradict_each_other_are_malformed(lengths: tuple[int, int]) -> None:
    prelude = struct.pack("!II", *lengths)
    with pytest.raises(Malformed):
        AwsEventFraming(LIMIT).feed(prelude + struct.pack("!I", crc32(prelude)))


@given(st.binary(max_size=300))
def test_noise_is_malformed_or_awaits_more(noise: bytes) -> None:
    try:
        assert read(AwsEventFraming(LIMIT), noise) == []
    except Malformed:
        pass
