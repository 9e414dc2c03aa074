"""Heads that break HTTP, from a provider and from a client: each gets a legal answer or none, and the next is right.

A provider's head never becomes an answer that it did not give, and a client's never two requests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pytest

from tests.document import validate_error
from tests.gateway.checks import ask
from tests.gateway.server import KEY, Gateway, replies
from tests.gateway.upstream import Break, Script, Upstream
from tests.gateway.waiting import eventually
from tests.soak.provider import DIALECTS, RECORDINGS, answers_right, everywhere, good, outcome_of, pieces, serving

SERVER = """
header_timeout = "2 s"
body_timeout = "2 s"
keep_alive = "1 s"
grace = "10 s"
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    with Upstream() as provider:
        yield provider


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with serving(tmp_path_factory.mktemp("gateway"), everywhere(upstream), SERVER) as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_left(gateway: Gateway, upstream: Upstream, nonce: str) -> Iterator[None]:
    """After each case the next calls are answered right, and no more sockets are held than before."""
    before = gateway.sockets - upstream.open_connections
    yield
    answers_right(gateway, upstream, nonce, ("chat",))
    eventually(lambda: upstream.calls_under_way == 0, "a call to the provider goes on")
    eventually(lambda: gateway.sockets - upstream.open_connections <= before, "a socket is left over")


# From a provider

BODY = RECORDINGS["chat"].body
LENGTH = f"content-length: {len(BODY)}"
FINE = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{LENGTH}\r\n\r\n".encode()


@dataclass(frozen=True)
class Case:
    """What a provider sends before the body of a good answer, and whether that may be taken for one.

    The standard lets a reader choose where `may_pass`; where it does not, the answer is an error.
    """

    id: str
    head: bytes
    may_pass: bool = False
    body: bytes = BODY
    ending: Break = "end"


def headed(*lines: str, first: str = "HTTP/1.1 200 OK", end: str = "\r\n") -> bytes:
    return end.join([first, *lines, "", ""]).encode("latin-1")


IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
CASES = (
    # The length
    Case("two lengths that differ", headed(LENGTH, "content-length: 3")),
    Case("two lengths that agree", headed(LENGTH, LENGTH), may_pass=True),
    Case("two lengths in one line", headed(f"{LENGTH}, 3")),
    Case("a length below zero", headed("content-length: -1")),
    Case("a length with a sign", headed(f"content-length: +{len(BODY)}"), may_pass=True),
    Case("a length in hexadecimal", headed(f"content-length: {len(BODY):#x}")),
    Case("a length with a space inside", headed("content-length: 1 0")),
    Case("an empty length", headed("content-length:"), may_pass=True),
    Case("a length of 10^30", headed(f"content-length: 1{'0' * 30}")),
    Case("a length of 2^64 - 1", headed(f"content-length: {2**64 - 1}")),
    Case("a length too long by a byte", headed(f"content-length: {len(BODY) + 1}")),
    Case("a length too short by a byte", headed(f"content-length: {len(BODY) - 1}")),
    Case("a length and chunks", headed(LENGTH, "transfer-encoding: chunked"), may_pass=True, body=IN_CHUNKS),
    # The coding
    Case("chunks that are none", headed("transfer-encoding: chunked")),
    Case("chunked, twice", headed("transfer-encoding: chunked, chunked"), may_pass=True, body=IN_CHUNKS),
    Case("a coding that is not known", headed("transfer-encoding: sideways"), may_pass=True),
    Case("a coding that only begins as chunked", headed("transfer-encoding: chunkedness"), may_pass=True),
    Case("a size with a sign", headed("transfer-encoding: chunked"), body=b"+" + IN_CHUNKS),
    Case("a size with 0x", headed("transfer-encoding: chunked"), body=b"0x" + IN_CHUNKS),
    Case("a size of 2^64", headed("transfer-encoding: chunked"), body=b"10000000000000000\r\n" + BODY),
    Case("chunks without an end", headed("transfer-encoding: chunked"), body=IN_CHUNKS[:-5]),
    # The first line
    Case("nothing but a body, as HTTP/0.9", b""),
    Case("HTTP/2.0", headed(LENGTH, first="HTTP/2.0 200 OK"), may_pass=True),
    Case("HTTP/11", headed(LENGTH, first="HTTP/11 200 OK")),
    Case("ICY", headed(LENGTH, first="ICY 200 OK"), may_pass=True),
    Case("no reason", headed(LENGTH, first="HTTP/1.1 200"), may_pass=True),
    Case("a status of two digits", headed(LENGTH, first="HTTP/1.1 20 OK")),
    Case("a status of four digits", headed(LENGTH, first="HTTP/1.1 2000 OK")),
    Case("status 0", headed(LENGTH, first="HTTP/1.1 000 OK")),
    Case("status 999", headed(LENGTH, first="HTTP/1.1 999 OK")),
    Case("a status in letters", headed(LENGTH, first="HTTP/1.1 abc OK")),
    Case("a first line of a megabyte", headed(LENGTH, first="HTTP/1.1 200 " + "x" * 2**20)),
    Case("a request in place of an answer", headed(LENGTH, first="POST / HTTP/1.1")),
    # Statuses without a body, and not the last
    Case("101 Switching Protocols", headed("upgrade: x", "connection: upgrade", first="HTTP/1.1 101 X")),
    Case("204 with a body", headed(LENGTH, first="HTTP/1.1 204 X")),
    Case("304 with a body", headed(LENGTH, first="HTTP/1.1 304 X")),
    Case("a hundred times 103", headed("link: </x>", first="HTTP/1.1 103 X") * 100 + FINE, may_pass=True),
    Case("ten thousand times 103", headed("link: </x>", first="HTTP/1.1 103 X") * 10_000, may_pass=False),
    Case("100 and no more", headed(first="HTTP/1.1 100 X"), body=b""),
    # Fields
    Case("a line without a colon", headed("nothing here", LENGTH)),
    Case("a name that is empty", headed(": x", LENGTH)),
    Case("a name with a space before its colon", headed("x-a : 1", LENGTH), may_pass=True),
    Case("a name with a space inside", headed("x a: 1", LENGTH)),
    Case("a name of one letter not in ASCII", headed("x-\xe4: 1", LENGTH)),
    Case("a value not in ASCII", headed("x-a: \xe4\xff", LENGTH), may_pass=True),
    Case("a value with NUL", headed("x-a: a\0b", LENGTH)),
    Case("a value with a lone CR", headed("x-a: a\rb", LENGTH)),
    Case("lines that end with LF", headed(LENGTH, end="\n"), may_pass=True),
    Case("lines that end with CR", headed(LENGTH, end="\r")),
    Case("a folded line", headed("x-a: 1", " 2", LENGTH), may_pass=True),
    Case("a first field that is folded", headed(" x-a: 1", LENGTH), may_pass=True),
    Case("an empty line first", b"\r\n" + FINE, may_pass=True),
    Case("a thousand fields", headed(*(f"x-{number}: 1" for number in range(1000)), LENGTH)),
    Case("a name of 100 kB", headed("x" * 100_000 + ": 1", LENGTH)),
    Case("a head that never ends", headed("x-a: 1")[:-2] + b"y: 1\r\n" * 200_000, body=b""),
    Case("a head without its end", headed(LENGTH)[:-2], body=b""),
    # What is in them
    Case("a media type that is none", headed("content-type: ;;;=", LENGTH), may_pass=True),
    Case("a stream's media type with NULs", headed("content-type: text/event-stream\t\t;", LENGTH), may_pass=True),
    Case("a redirect", headed("location: http://127.0.0.1:1/", LENGTH, first="HTTP/1.1 302 X")),
    Case("a character set that is none", headed("content-type: application/json; charset=x", LENGTH), may_pass=True),
)


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_provider_with_a_hostile_head(
    case: Case, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, Script([case.head + case.body], case.ending))
    reply = gateway.call(ask("soak/chat", nonce, stream=streams))
    outcome = outcome_of(reply)
    assert outcome == "error" or (case.may_pass and outcome == "completed"), (outcome, reply.body[:300])
    assert reply.status != 500


@pytest.mark.parametrize("more", [FINE + b'{"evil": 1}', b"x", b"\r\n\r\n", headed("content-length: 0")])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_bytes_after_an_answer_reach_no_other_call(
    dialect: str, more: bytes, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    for streams in (False, True):
        said = b"".join(pieces(dialect, "chunks", streams=streams))
        upstream.play(nonce, Script([said + more, 0.05], "keep"), good(dialect, streams=streams))
        # What came with the rest of the answer may spoil it.
        outcome_of(gateway.call(ask(f"soak/{dialect}", nonce, stream=streams)))
        assert outcome_of(gateway.call(ask(f"soak/{dialect}", nonce, stream=streams))) == "completed"


# From a client

REQUEST = json.dumps(ask("soak/chat", "Hello.")).encode()
SIZE = f"content-length: {len(REQUEST)}"
POST = "POST /api/v1/responses HTTP/1.1"
SENT_IN_CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(REQUEST), REQUEST)


@dataclass(frozen=True)
class Sent:
    """What a client sends, and which statuses it may get for it; it may always be cut without an answer.

    200 is among them where nobody can take the request for another one.
    """

    id: str
    data: bytes
    statuses: Sequence[int] = (400,)


def asked(*lines: str, first: str = POST, end: str = "\r\n", body: bytes = REQUEST) -> bytes:
    fixed = ["host: x", f"authorization: Bearer {KEY}", "content-type: application/json", "connection: close"]
    return end.join([first, *fixed, *lines, "", ""]).encode("latin-1") + body


SENT = (
    Sent("two lengths that differ", asked(SIZE, "content-length: 3")),
    Sent("a length below zero", asked("content-length: -1")),
    Sent("a length in hexadecimal", asked(f"content-length: {len(REQUEST):#x}")),
    Sent("a length of 10^30", asked(f"content-length: 1{'0' * 30}"), (400, 413)),
    Sent("a length and chunks", asked(SIZE, "transfer-encoding: chunked", body=SENT_IN_CHUNKS)),
    Sent("chunked, but not last", asked("transfer-encoding: chunked, gzip", body=SENT_IN_CHUNKS), (400, 501)),
    Sent("a coding that is not known", asked("transfer-encoding: sideways", body=SENT_IN_CHUNKS), (400, 501)),
    Sent("a size with a sign", asked("transfer-encoding: chunked", body=b"+" + SENT_IN_CHUNKS)),
    Sent("a size of 2^64", asked("transfer-encoding: chunked", body=b"10000000000000000\r\n"), (400, 413)),
    Sent("a chunk without its end", asked("transfer-encoding: chunked", body=b"1\r\nxyz")),
    Sent("no version", asked(SIZE, first="POST /api/v1/responses"), (200, 400)),
    Sent("HTTP/2.0", asked(SIZE, first="POST /api/v1/responses HTTP/2.0"), (200, 400, 505)),
    Sent("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 404, 405, 505)),
    Sent("a TLS handshake", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)),
    Sent("a method that is none", asked(SIZE, first="P\0ST /api/v1/responses HTTP/1.1")),
    Sent("CONNECT", asked(first="CONNECT example.com:443 HTTP/1.1", body=b""), (400, 404, 405)),
    Sent("a path with a space", asked(SIZE, first="POST /api/v1/ responses HTTP/1.1")),
    Sent("a path of 100 kB", asked(SIZE, first=f"POST /{'x' * 100_000} HTTP/1.1"), (400, 404, 414, 431)),
    Sent("a line without a colon", asked("nothing here", SIZE)),
    Sent("a name that is empty", asked(": x", SIZE)),
    Sent("a name with a space before its colon", asked("x-a : 1", SIZE)),
    Sent("a value with NUL", asked("x-a: a\0b", SIZE)),
    Sent("a value with a lone CR", asked("x-a: a\rb", SIZE)),
    Sent("a value with a lone LF", asked("x-a: a\nb", SIZE)),
    Sent("lines that end with CR", asked(SIZE, end="\r"), (400, 408)),
    Sent("a thousand fields", asked(*(f"x-{number}: 1" for number in range(1000)), SIZE), (400, 431)),
    Sent("a field of a megabyte", asked("x-a: " + "y" * 2**20, SIZE), (400, 431)),
    Sent("two hosts", asked("host: y", SIZE)),
    Sent("a head without its end", asked(SIZE, body=b"")[:-2], (400, 408)),
    Sent("half a body", asked(SIZE, body=REQUEST[:-10]), (400, 408)),
    Sent("nothing", b"", (400, 408)),
)


@pytest.mark.parametrize("sent", SENT, ids=lambda sent: sent.id)
def test_a_client_with_a_hostile_head(sent: Sent, gateway: Gateway) -> None:
    with gateway.connect() as client:
        with suppress(ConnectionError):
            client.send(sent.data)
        answers = replies(client.read_to_end())
    assert len(answers) <= 1, "it was taken for two requests"
    for reply in answers:
        assert reply.status in sent.statuses, (reply.status, reply.body[:300])
        if reply.status != 200 and reply.headers.get("content-type") == "application/json":
            validate_error(reply.status, reply.json)


def test_the_same_request_with_a_good_head_is_answered(gateway: Gateway) -> None:
    for data in (asked(SIZE), asked("transfer-encoding: chunked", body=SENT_IN_CHUNKS)):
        [reply] = gateway.raw(data)
        assert reply.status == 200
