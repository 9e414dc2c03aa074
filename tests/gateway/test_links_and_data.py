"""FE: links and data URLs that nobody may be handed, whoever follows them: refused before any provider is asked."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import error_of, response_of
from tests.gateway.conftest import CONFIG, ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream, completion, whole

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere", "mistral")
MODELS = ("fake/echo", *(f"wire/{dialect}" for dialect in DIALECTS))
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n0000").decode()


@dataclass(frozen=True)
class Place:
    """A part that names bytes somewhere else, and the member that does it."""

    id: str
    make: Callable[[str], dict[str, Any]]
    path: str
    kind: str


PARTS = (
    Place(
        "image_url", lambda url: {"type": "input_image", "image_url": url}, "content[1].image_url", "invalid_image_url"
    ),
    Place(
        "video_url", lambda url: {"type": "input_video", "video_url": url}, "content[1].video_url", "invalid_video_url"
    ),
    Place("file_url", lambda url: {"type": "input_file", "file_url": url}, "content[1].file_url", "invalid_file_url"),
    Place(
        "file_data", lambda url: {"type": "input_file", "file_data": url}, "content[1].file_data", "invalid_file_url"
    ),
)

SCHEMES = (
    "file:///etc/passwd",
    "/etc/passwd",
    "cat.png",
    "//a.example/x.png",
    "gopher://a.example:70/1",
    "dict://127.0.0.1:11211/stat",
    "jar:http://a.example!/x",
    "unix:/run/x.sock",
    "ftp://a.example/x.png",
    "gs://bucket/x.png",
    "javascript:alert(1)",
)
ODDITIES = (
    " http://a.example/x.png",
    "http://a.example/x.png ",
    "\thttp://a.example/x.png",
    "http://a.example/x.png\n",
    "http://a.exa\tmple/x.png",
    "http://user:pw@a.example/x.png",
    "http://good.example\\@127.0.0.1/",
    "http:///x.png",
    "http://a.example:25/x.png",
)
PRIVATE = (
    "http://127.0.0.1/x.png",
    " http://127.0.0.1/",
    "http://localhost/x.png",
    "http://printer.local/x.png",
    "http://metadata.google.internal/x",
    "http://redis:6379/x",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://①②⑦.⓪.⓪.①/",
    "http://10.9.8.7/x.png",
    "http://192.168.0.1/x.png",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:a9fe:a9fe]/",
    "http://[fd00::1]/",
    "http://[fe80::1%25lo]/",
)
DATA = (
    "data:image/png;base64,!!!!",
    "data:image/png;base64,",
    "data:image/png;base64",
    "data:,",
    f" data:image/png;base64,{PIXEL}",
    f"data:image/png;base64,{PIXEL}====",
    f"data:im age;base64,{PIXEL}",
    "data:video/jpeg;base64," + ",".join(["/9j/4AAQ"] * 10_000),
    "data:image/png;base64," + "A" * 1_200_000 + "!AAA",
)


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One provider for each dialect, all at a private address; that of `wire/follows` follows links all the same."""
    config = CONFIG
    for name in (*DIALECTS, "follows"):
        dialect = name if name in DIALECTS else "chat"
        config += PROVIDER.format(name=f"wire-{name}", dialect=dialect, url=f"{upstream.url}/{name}/v1")
        config += 'quirks = { image_urls = "forward" }\n' if name == "follows" else ""
    for name in (*DIALECTS, "follows"):
        config += ENDPOINT.format(provider=f"wire-{name}", model=f"wire/{name}")
    with running(tmp_path_factory.mktemp("links"), config, MOCK_KEY=PROVIDER_KEY) as found:
        yield found


def asking(model: str, part: dict[str, Any], nonce: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": nonce}, part]
    return {"model": model, "input": [{"role": "user", "content": content}]}


def refusal(gateway: Gateway, model: str, part: Place, url: str, nonce: str = "nonce-none") -> dict[str, Any]:
    metadata: dict[str, Any] = error_of(gateway.call(asking(model, part.make(url), nonce)), 400)["metadata"]
    return metadata


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.id)
@pytest.mark.parametrize(
    ("case", "urls"),
    [("FE-11 schemes", SCHEMES), ("FE-10 oddities", ODDITIES), ("FE-01 private", PRIVATE), ("FE-23 data", DATA)],
)
def test_FE_11_FE_23_nothing_but_public_links_and_good_data_urls_is_taken(
    part: Place, case: str, urls: tuple[str, ...], gateway: Gateway
) -> None:
    for url in urls:
        if part.id == "file_data" and url == "/etc/passwd":
            continue  # eleven letters of bare base64, and sent on as such
        metadata = refusal(gateway, "wire/follows", part, url)
        assert metadata["param"] == f"input[0].{part.path}", (url, metadata)
        assert metadata["error_type"] == part.kind, (url, metadata)


@pytest.mark.parametrize("model", MODELS)
def test_FE_11_every_dialect_refuses_alike(model: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    for part in PARTS:
        for url in ("file:///etc/passwd", "http://127.0.0.1/x.png", "data:image/png;base64,!!!!"):
            metadata = refusal(gateway, model, part, url, nonce)
            assert (metadata["param"], metadata["error_type"]) == (f"input[0].{part.path}", part.kind)
    assert not upstream.seen(nonce)


def test_FE_11_the_picture_of_an_earlier_answer_is_vetted_too(gateway: Gateway) -> None:
    for result in ("file:///etc/passwd", "http://127.0.0.1/x.png", "data:image/png;base64,!!!!", "!!!!"):
        item = {"type": "image_generation_call", "id": "i", "status": "completed", "result": result}
        body = {"model": "wire/responses", "input": [{"role": "user", "content": "Hi"}, item]}
        metadata = error_of(gateway.call(body), 400)["metadata"]
        assert (metadata["param"], metadata["error_type"]) == ("input[1].result", "invalid_image_url")


def test_FE_11_a_link_in_what_a_tool_gave_back_is_vetted_too(gateway: Gateway) -> None:
    output = [{"type": "input_image", "image_url": "file:///etc/passwd"}]
    call = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    items = [
        {"role": "user", "content": "Hi"},
        call,
        {"type": "function_call_output", "call_id": "c", "output": output},
    ]
    metadata = error_of(gateway.call({"model": "wire/chat", "input": items}), 400)["metadata"]
    assert metadata["param"] == "input[2].output[0].image_url"


def test_FE_23_audio_must_be_base64(gateway: Gateway) -> None:
    for data in ("!!!!", "====", "file:///etc/passwd"):
        part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
        metadata = error_of(gateway.call(asking("wire/chat", part, "nonce-none")), 400)["metadata"]
        assert metadata["param"] == "input[0].content[1].input_audio.data"


@pytest.mark.parametrize("spelling", [PIXEL, PIXEL.rstrip("="), f"{PIXEL[:8]}\n{PIXEL[8:]}\n"])
def test_FE_23_a_good_data_url_goes_on(spelling: str, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    upstream.play(nonce, whole(completion()))
    part = {"type": "input_image", "image_url": f"data:image/png;base64,{spelling}"}
    response_of(gateway.call(asking("wire/chat", part, nonce)))
    assert len(upstream.seen(nonce)) == 1


def test_FE_11_a_server_in_the_operators_network_is_handed_no_link(
    gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    """Its name may lead anywhere in that network, so the guarded fetcher goes instead, and finds that it is private."""
    part = {"type": "input_image", "image_url": "http://no.such.name.example/x.png"}
    error_of(gateway.call(asking("wire/chat", part, nonce)), 400)
    assert not upstream.seen(nonce)
    response_of(gateway.call(asking("wire/follows", part, nonce)))
    (seen,) = upstream.seen(nonce)
    assert b"http://no.such.name.example/x.png" in seen.body
