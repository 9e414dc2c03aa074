"""What the proofs share: a gateway in front of a provider that speaks four dialects, the answers, and their checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from bench import recordings, wires
from bench.recordings import TEXT, Recording
from tests.document import check_stream, validate_error, validate_response
from tests.gateway.checks import ask, text_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.upstream import Script, Upstream

RECORDINGS: Final[Mapping[str, Recording]] = {
    "chat": recordings.chat(with_usage=True),
    "responses": recordings.responses(),
    "messages": wires.messages().recording,
    "gemini": wires.gemini().recording,
}
DIALECTS: Final = tuple(RECORDINGS)

Framing = Literal["length", "chunks", "close"]
"""How the end of a body is told: by its length, by chunks, by the end of the connection."""

Outcome = Literal["completed", "failed", "error"]

_CONFIG = """
[server]
{server}
[routing]
retry_budget = 1.0
[routing.timeouts]
connect = "2 s"
first_byte = "30 s"
idle = "5 min"
[log]
level = "info"
"""


@contextmanager
def serving(folder: Path, addresses: Mapping[str, str], server: str = "", authority: str = "") -> Iterator[Gateway]:
    """A gateway whose model `soak/<name>` is at one provider: `addresses` are by name, which begins with the dialect.

    `server` is lines of that section of the configuration, `authority` the file of the only one whose TLS is trusted.
    """
    config = _CONFIG.format(server=server)
    for name, url in addresses.items():
        config += PROVIDER.format(name=f"mock-{name}", dialect=name.partition("-")[0], url=url)
    for name in addresses:
        config += ENDPOINT.format(provider=f"mock-{name}", model=f"soak/{name}")
    with running(folder, config, MOCK_KEY=PROVIDER_KEY, SSL_CERT_FILE=authority) as gateway:
        yield gateway


def everywhere(upstream: Upstream) -> dict[str, str]:
    """An address for each dialect."""
    return {dialect: f"{upstream.url}/{dialect}/v1" for dialect in DIALECTS}


def pieces(dialect: str, framing: Framing = "chunks", *, streams: bool) -> list[bytes]:
    """The recorded answer as a provider sends it: the head, then the body, a stream in frames."""
    said = RECORDINGS[dialect]
    body = [*said.opening, *said.tokens, *said.closing] if streams else [said.body]
    kind = "text/event-stream" if streams else "application/json"
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n"
    match framing:
        case "length":
            return [f"{head}content-length: {sum(map(len, body))}\r\n\r\n".encode(), *body]
        case "chunks":
            return [f"{head}transfer-encoding: chunked\r\n\r\n".encode(), *map(chunk, body), b"0\r\n\r\n"]
        case "close":
            return [f"{head}connection: close\r\n\r\n".encode(), *body]


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def opening(dialect: str) -> bytes:
    """A stream up to its first token."""
    said = RECORDINGS[dialect]
    return b"".join([pieces(dialect, streams=True)[0], *map(chunk, (*said.opening, said.tokens[0]))])


def flood(dialect: str) -> bytes:
    """64 tokens of a thousand characters, in one chunk."""
    token = RECORDINGS[dialect].tokens[0]
    return chunk(token.replace(b'" the"', b'"%s"' % (b"x" * 1000)) * 64)


def good(dialect: str, *, streams: bool) -> Script:
    return Script(pieces(dialect, streams=streams), "keep")


def outcome_of(reply: Reply) -> Outcome:
    """Judge an answer, which must be legal, and right if it says that it is complete."""
    if reply.status != 200:
        validate_error(reply.status, reply.json)
        return "error"
    if reply.headers["content-type"] == "application/json":
        response, text = reply.json, reply.json["output_text"]
        validate_response(response)
    else:
        events = reply.events
        check_stream(events)
        response, text = events[-1]["response"], text_of(events)
    if response["status"] == "completed":
        assert text == TEXT
        return "completed"
    assert response["status"] == "failed", response["status"]
    assert TEXT.startswith(text)
    return "failed"


def answers_right(gateway: Gateway, upstream: Upstream, nonce: str, dialects: Sequence[str] = DIALECTS) -> None:
    """Each dialect gives a whole answer and a stream."""
    for dialect in dialects:
        for streams in (False, True):
            upstream.play(f"{nonce}-good", good(dialect, streams=streams))
            reply = gateway.call(ask(f"soak/{dialect}", f"{nonce}-good", stream=streams))
            assert outcome_of(reply) == "completed", reply
