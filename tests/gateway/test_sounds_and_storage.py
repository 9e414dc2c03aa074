"""Sounds in every format and links into Google's storage: who gets them, in which form, and what others answer."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.gateway.checks import error_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import CONFIG, at
from tests.gateway.test_supports import TOLD
from tests.gateway.upstream import Upstream, stream, whole

DIALECTS = ("chat", "responses", "messages", "gemini", "converse", "cohere", "mistral")
SHIPPED = {
    "google-vertex": ("gemini", "google/gemini-2.5-flash"),
    "google-ai-studio": ("gemini", "google/gemini-2.5-flash"),
    "alibaba": ("chat", "qwen/qwen3-omni-flash"),
}
"""Rows of the list, each at another address: the dialect, and a model that hears there."""


def encoded(data: bytes) -> str:
    return base64.b64encode(data.ljust(48, b"\0")).decode()


SOUNDS = {
    "wav": encoded(b"RIFF\x24\0\0\0WAVEfmt "),
    "mp3": encoded(b"ID3\x04\0"),
    "aac": encoded(b"\xff\xf1\x50\x80"),
    "aiff": encoded(b"FORM\0\0\0\x24AIFFCOMM"),
    "flac": encoded(b"fLaC\0\0\0\x22"),
    "m4a": encoded(b"\0\0\0\x20ftypM4A \0\0\0\0"),
    "ogg": encoded(b"OggS\0\x02"),
}
PLACES: dict[str, tuple[str | int, ...]] = {
    "chat": ("messages", 0, "content", 1, "input_audio"),
    "mistral": ("messages", 0, "content", 1, "input_audio"),
    "responses": ("input", 0, "content", 1, "input_audio"),
    "gemini": ("contents", 0, "parts", 1, "inlineData"),
    "converse": ("messages", 0, "content", 1, "audio"),
}
HEARD = {
    "chat": {"mp3", "wav"},
    "mistral": {"mp3", "wav"},
    "responses": {"mp3", "wav"},
    "gemini": {"aac", "aiff", "flac", "mp3", "ogg", "wav"},
    "converse": {"aac", "flac", "m4a", "mp3", "ogg", "wav"},
    "google-vertex": {"aac", "flac", "m4a", "mp3", "ogg", "wav"},
    "google-ai-studio": {"aac", "aiff", "flac", "mp3", "ogg", "wav"},
    "alibaba": {"aac", "mp3", "wav"},
}
"""The formats that each dialect and each of the shipped rows takes."""


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """`wire/<dialect>` at a provider of each dialect, `stored/gemini` at one that follows `gs://`, and `SHIPPED`."""
    config = CONFIG
    for dialect in DIALECTS:
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
        config += ENDPOINT.format(provider=f"wire-{dialect}", model=f"wire/{dialect}")
        config += 'input_modalities = ["text", "image", "file", "audio", "video"]\n'
    config += ENDPOINT.format(provider="wire-gemini", model="stored/gemini")
    config += "quirks = { has_stored_links = true }\n"
    for name, (_, model) in SHIPPED.items():
        config += f'[providers.{name}]\nbase_url = "{upstream.url}/{name}/v1"\n'
        config += 'api_key = { env = "MOCK_KEY" }\ncredential_scheme = "bearer"\n'
        config += ENDPOINT.format(provider=name, model=model)
    with running(tmp_path_factory.mktemp("sounds"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def asking(model: str, part: dict[str, Any], nonce: str, only: str | None = None) -> dict[str, Any]:
    body = {"model": model, "input": [{"role": "user", "content": [{"type": "input_text", "text": nonce}, part]}]}
    return body if only is None else {**body, "provider": {"only": [only]}}


def sound(data: str, form: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": data, "format": form}}


def told(dialect: str, name: str) -> Any:
    # Alibaba's models are always asked for a stream.
    if name == "alibaba":
        return stream([{**TOLD["chat"], "choices": [{"index": 0, "delta": {"content": "Hello."}}]}, "[DONE]"])
    return whole(TOLD[dialect])


def heard(place: Any) -> tuple[str | None, str]:
    """The format under which a dialect says a sound, and its data."""
    match place:
        case {"mimeType": kind, "data": data}:
            return kind.removeprefix("audio/"), data
        case {"format": form, "source": {"bytes": data}}:
            return form, data
        case {"data": data, "format": form}:
            return form, data.removeprefix("data:;base64,")
        case data:
            return None, data


@pytest.mark.parametrize("form", SOUNDS)
@pytest.mark.parametrize("name", HEARD)
def test_a_sound_reaches_who_takes_its_format_and_is_a_400_elsewhere(
    name: str, form: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    dialect, model = SHIPPED.get(name, (name, f"wire/{name}"))
    upstream.play(nonce, told(dialect, name))
    reply = gateway.call(asking(model, sound(SOUNDS[form], form), nonce, name if name in SHIPPED else None))
    if form in HEARD[name]:
        assert reply.status == 200, reply.body
        (seen,) = upstream.seen(nonce)
        assert heard(at(seen.json, PLACES[dialect])) == (None if dialect == "mistral" else form, SOUNDS[form])
    else:
        error = error_of(reply, 400)
        assert error["metadata"]["param"] == "input[0].content[1].input_audio.format"
        assert f"takes no audio as {form}, but as {' or '.join(sorted(HEARD[name]))}" in error["message"]
        assert not upstream.seen(nonce)


@pytest.mark.parametrize("dialect", PLACES)
@pytest.mark.parametrize(
    ("written", "label", "form"),
    [
        (SOUNDS["wav"], "WAV", "wav"),
        (SOUNDS["mp3"], "Mp3", "mp3"),
        (f"data:audio/wav;base64,{SOUNDS['wav']}", "wav", "wav"),
        (f"data:audio/mpeg;base64,{SOUNDS['mp3']}", "MP3", "mp3"),
        (SOUNDS["wav"], "mp3", "wav"),
        (SOUNDS["mp3"], "flac", "mp3"),
        (f"{SOUNDS['wav'][:8]}\n{SOUNDS['wav'][8:]}", "wav", "wav"),
    ],
    ids=["upper case", "mixed case", "data URL", "data URL and case", "WAV as mp3", "MP3 as flac", "in lines"],
)
def test_a_sound_is_what_its_bytes_are_however_it_is_written(
    written: str, label: str, form: str, dialect: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    upstream.play(nonce, whole(TOLD[dialect]))
    reply = gateway.call(asking(f"wire/{dialect}", sound(written, label), nonce))
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert heard(at(seen.json, PLACES[dialect])) == (None if dialect == "mistral" else form, SOUNDS[form])


@pytest.mark.parametrize(
    ("written", "label", "member"),
    [
        (SOUNDS["wav"], "amr", "format"),
        (SOUNDS["wav"], 3, "format"),
        ("https://a.example/a.wav", "wav", "data"),
        ("data:audio/wav;base64,!!!!", "wav", "data"),
        ("data:audio/wav,hello", "wav", "data"),
    ],
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_no_sound_is_a_400_everywhere(
    written: Any, label: Any, member: str, dialect: str, gateway: Gateway
) -> None:
    error = error_of(gateway.call(asking(f"wire/{dialect}", sound(written, label), "x")), 400)
    assert error["metadata"]["param"] == f"input[0].content[1].input_audio.{member}"


def test_of_two_providers_the_one_that_hears_it_is_asked(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    for form, name in (("m4a", "google-vertex"), ("aiff", "google-ai-studio")):
        upstream.play(f"{nonce}-{form}", whole(TOLD["gemini"]))
        reply = gateway.call(asking("google/gemini-2.5-flash", sound(SOUNDS[form], form), f"{nonce}-{form}"))
        assert (reply.status, reply.headers["x-trunkline-provider"]) == (200, name)


# Google's storage

STORED = [
    ({"type": "input_image", "image_url": "gs://bucket/a/cat.png"}, "image/png", "image_url"),
    ({"type": "input_image", "image_url": "gs://my_bucket.example/cat 1.JPG"}, "image/jpeg", "image_url"),
    ({"type": "input_video", "video_url": "gs://bucket/film.mov"}, "video/quicktime", "video_url"),
    ({"type": "input_file", "file_url": "gs://bucket/report.pdf"}, "application/pdf", "file_url"),
    ({"type": "input_file", "file_url": "gs://bucket/talk.mp3"}, "audio/mpeg", "file_url"),
    ({"type": "input_file", "file_url": "gs://bucket/7f3a", "filename": "a.pdf"}, "application/pdf", "file_url"),
]


@pytest.mark.parametrize(("part", "kind", "member"), STORED)
@pytest.mark.parametrize(("model", "name"), [("stored/gemini", None), ("google/gemini-2.5-flash", "google-vertex")])
def test_a_link_into_googles_storage_is_vertexs_to_follow(
    model: str,
    name: str | None,
    part: dict[str, Any],
    kind: str,
    member: str,
    gateway: Gateway,
    upstream: Upstream,
    nonce: str,
) -> None:
    upstream.play(nonce, whole(TOLD["gemini"]))
    reply = gateway.call(asking(model, part, nonce))
    assert reply.status == 200, reply.body
    (seen,) = upstream.seen(nonce)
    assert seen.json["contents"][0]["parts"][1] == {"fileData": {"mimeType": kind, "fileUri": part[member]}}
    assert name in (None, reply.headers["x-trunkline-provider"])


@pytest.mark.parametrize(("part", "kind", "member"), STORED)
@pytest.mark.parametrize("name", [*(f"wire/{dialect}" for dialect in DIALECTS), "google-ai-studio", "fake/echo"])
def test_a_link_into_googles_storage_is_a_400_for_all_others(
    name: str, part: dict[str, Any], kind: str, member: str, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    model, only = (SHIPPED[name][1], name) if name in SHIPPED else (name, None)
    error = error_of(gateway.call(asking(model, part, nonce, only)), 400)
    assert error["metadata"]["param"] == f"input[0].content[1].{member}"
    assert error["metadata"]["error_type"] == f"invalid_{member}"
    assert "follows no gs:// link" in error["message"]
    assert not upstream.seen(nonce)


def test_a_link_in_what_a_tool_gave_back_is_left_out_and_named(gateway: Gateway) -> None:
    output = [{"type": "input_text", "text": "Here."}, {"type": "input_image", "image_url": "gs://bucket/a.png"}]
    items = [
        {"role": "user", "content": "Hi"},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": output},
    ]
    reply = gateway.call({"model": "wire/chat", "input": items})
    assert reply.status == 200
    assert reply.headers["x-trunkline-dropped"] == "input.function_call_output.input_image"


@pytest.mark.parametrize(
    ("part", "member"),
    [
        ({"type": "input_image", "image_url": "gs://bucket"}, "image_url"),
        ({"type": "input_image", "image_url": "gs:///cat.png"}, "image_url"),
        ({"type": "input_image", "image_url": "gs://bucket/cat\n.png"}, "image_url"),
        ({"type": "input_image", "image_url": "gs://bucket/cat"}, "image_url"),
        ({"type": "input_image", "image_url": "gs://bucket/report.pdf"}, "image_url"),
        ({"type": "input_video", "video_url": "gs://bucket/cat.png"}, "video_url"),
        ({"type": "input_file", "file_url": "gs://bucket/7f3a"}, "file_url"),
        ({"type": "input_file", "file_data": "gs://bucket/a.pdf"}, "file_data"),
        ({"type": "input_image", "image_url": "s3://bucket/cat.png"}, "image_url"),
        ({"type": "input_image", "image_url": "iVBORw0KGgo="}, "image_url"),
    ],
)
@pytest.mark.parametrize("model", ["stored/gemini", "wire/chat"])
def test_what_no_server_could_follow_is_a_400_everywhere(
    part: dict[str, Any], member: str, model: str, gateway: Gateway
) -> None:
    metadata = error_of(gateway.call(asking(model, part, "x")), 400)["metadata"]
    assert metadata["param"] == f"input[0].content[1].{member}"
    assert metadata["error_type"] == f"invalid_{member.replace('data', 'url')}"
