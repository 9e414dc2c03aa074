"""Files and pictures as providers get them: what a file is its bytes say, whatever it is called, in every dialect."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, Reply, running
from tests.gateway.test_quirks import CONFIG, PIXEL
from tests.gateway.test_supports import TOLD
from tests.gateway.upstream import Seen, Upstream, whole

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere", "mistral")
JPEG = base64.b64encode(b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(20)).decode()
PDF = base64.b64encode(b"%PDF-1.7\n" + bytes(20)).decode()
SOURCE = "def greet():\n    return 'blåbær'\n"
TEXT = base64.b64encode(SOURCE.encode()).decode()


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For each dialect `wire/<dialect>`, which reads anything, and `text/<dialect>`, which reads text alone."""
    config = CONFIG
    config += PROVIDER.format(name="far-gemini", dialect="gemini", url=f"{upstream.url}/far/v1")
    config += 'quirks = { image_urls = "forward" }\n' + ENDPOINT.format(provider="far-gemini", model="far/gemini")
    config += ENDPOINT.format(provider="wire-responses", model="drawn/responses")
    config += 'output_modalities = ["image", "text"]\n'
    for dialect in (*DIALECTS, "images"):
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        for name in ("wire", "text"):
            config += ENDPOINT.format(provider=f"wire-{dialect}", model=f"{name}/{dialect}")
            config += 'input_modalities = ["text"]\n' if name == "text" else ""
            config += 'output_modalities = ["image"]\n' if dialect == "images" else ""
    with running(tmp_path_factory.mktemp("media"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asked(gateway: Gateway, upstream: Upstream, nonce: str, model: str, part: dict[str, Any]) -> tuple[Reply, Seen]:
    upstream.play(nonce, whole(TOLD[model.partition("/")[2]]))
    content = [{"type": "input_text", "text": nonce}, part]
    reply = gateway.call(json.dumps({"model": model, "input": [{"role": "user", "content": content}]}).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    return reply, seen


def kinds(seen: Seen) -> set[str]:
    """The kinds of the pictures in a body, by whatever a dialect calls them."""
    found: set[str] = set(re.findall(r'"data:([^;]*);base64', seen.body.decode()))
    found |= set(re.findall(r'"(?:media_type|mimeType)":\s*"([^"]*)"', seen.body.decode()))
    return found | {f"image/{kind}" for kind in re.findall(r'"image":\s*{"format":\s*"([^"]*)"', seen.body.decode())}


LABELS = ("image/png", "image/*", "application/octet-stream", "application/pdf", "")


@pytest.mark.parametrize("as_file", [False, True], ids=["input_image", "input_file"])
@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_M1_M2_a_picture_is_what_its_bytes_are(
    dialect: str, label: str, as_file: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    url = f"data:{label};base64,{JPEG}"
    part = {"type": "input_file", "file_data": url} if as_file else {"type": "input_image", "image_url": url}
    _, seen = asked(gateway, upstream, nonce, f"wire/{dialect}", part)
    assert kinds(seen) == {"image/jpeg"}


@pytest.mark.parametrize("where", ["wire", "text"])
@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("a.py", "application/octet-stream"),
        ("a.js", "application/javascript"),
        ("a.ndjson", "application/x-ndjson"),
        ("a.sh", "application/x-sh"),
        ("a.toml", "application/toml"),
        ("a.py", "text/x-python"),
        ("a", ""),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_M4_M5_a_text_file_reaches_every_model_as_text(
    dialect: str, name: str, label: str, where: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    url = f"data:{label};base64,{TEXT}"
    part = {"type": "input_file", "filename": name, "file_data": url}
    _, seen = asked(gateway, upstream, nonce, f"{where}/{dialect}", part)
    if dialect == "converse":
        document = seen.json["messages"][0]["content"][1]["document"]
        assert (document["format"], document["source"]["bytes"]) == ("txt", TEXT)
    elif dialect == "responses":
        assert f"data:{label if label.startswith('text/') else 'text/plain'};base64,{TEXT}" in seen.body.decode()
    else:
        assert json.dumps(SOURCE, ensure_ascii=False)[1:-1] in seen.body.decode()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_M5_a_document_is_still_refused_where_no_file_is_read(dialect: str, gateway: Gateway) -> None:
    part = {"type": "input_file", "filename": "a.txt", "file_data": f"data:text/plain;base64,{PDF}"}
    only = [{"id": "file-parser", "enabled": False}]
    body = {"model": f"text/{dialect}", "input": [{"role": "user", "content": [part]}], "plugins": only}
    assert gateway.call(json.dumps(body).encode()).status == 404


@pytest.mark.parametrize("kind", ["input_video", "input_file"])
@pytest.mark.parametrize(
    ("link", "sent"),
    [
        ("https://www.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
        ("https://youtu.be/abc", "https://youtu.be/abc"),
        ("https://m.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
        ("https://music.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=abc"),
    ],
)
def test_M6_a_film_at_youtube_is_googles_to_watch(
    link: str, sent: str, kind: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    part = {"type": kind, "video_url" if kind == "input_video" else "file_url": link}
    upstream.play(nonce, whole(TOLD["gemini"]))
    content = [{"type": "input_text", "text": nonce}, part]
    body = {"model": "far/gemini", "input": [{"role": "user", "content": content}]}
    reply = gateway.call(json.dumps(body).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert seen.json["contents"][0]["parts"][1] == {"fileData": {"mimeType": "video/mp4", "fileUri": sent}}


@pytest.mark.parametrize(
    ("config", "size", "dropped"),
    [
        ({"aspect_ratio": "1:1", "image_size": "2K"}, "1024x1024", "image_config.image_size"),
        ({"aspect_ratio": "16:9"}, "1536x1024", "image_config.aspect_ratio"),
        ({"aspect_ratio": "9:21"}, "1024x1536", "image_config.aspect_ratio"),
        ({"aspect_ratio": "3:2"}, "1536x1024", None),
        ({"aspect_ratio": "wide"}, None, "image_config.aspect_ratio"),
    ],
)
def test_M7_a_wish_about_size_is_met_as_nearly_as_can_be(
    config: dict[str, str],
    size: str | None,
    dropped: str | None,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    upstream.play(nonce, whole({"data": [{"b64_json": PIXEL}]}))
    body = {"model": "wire/images", "input": nonce, "modalities": ["image"], "image_config": config}
    reply = gateway.call(json.dumps(body).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert (seen.json.get("size"), "image_size" in seen.json) == (size, False)
    assert reply.headers.get("x-trunkline-dropped") == dropped


@pytest.mark.parametrize(
    ("config", "size", "dropped"),
    [
        ({"aspect_ratio": "16:9"}, "1536x1024", "image_config.aspect_ratio"),
        ({"aspect_ratio": "9:21"}, "1024x1536", "image_config.aspect_ratio"),
        ({"aspect_ratio": "1:1", "image_size": "2K"}, "1024x1024", "image_config.image_size"),
        ({"aspect_ratio": "2:3", "quality": "low"}, "1024x1536", None),
        ({"aspect_ratio": "2:3", "size": "auto"}, "auto", "image_config.aspect_ratio"),
        ({"aspect_ratio": "wide"}, None, "image_config.aspect_ratio"),
    ],
)
def test_M7_the_tool_that_draws_gets_the_nearest_size_too(
    config: dict[str, str],
    size: str | None,
    dropped: str | None,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    upstream.play(nonce, whole(TOLD["responses"]))
    body = {"model": "drawn/responses", "input": nonce, "modalities": ["image", "text"], "image_config": config}
    reply = gateway.call(json.dumps(body).encode())
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    (tool,) = seen.json["tools"]
    assert (tool["type"], tool.get("size"), tool.get("quality")) == ("image_generation", size, config.get("quality"))
    assert reply.headers.get("x-trunkline-dropped") == dropped
