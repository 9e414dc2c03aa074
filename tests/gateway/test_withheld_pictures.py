"""A picture that the model or its moderation withholds: what the client gets, and that nobody is to blame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.gateway.checks import error_of, events_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.test_quirks import CONFIG, PIXEL
from tests.gateway.upstream import Script, Upstream, stream, whole

SAFETY = {"message": "Your request was rejected by the safety system.", "type": "user_error"}


@dataclass(frozen=True)
class Withheld:
    """What a provider answers, call by call. `streamed` is what it says instead where the client streams."""

    id: str
    dialect: str
    scripts: tuple[Script, ...]
    is_incomplete: bool = False
    streamed: tuple[Script, ...] = ()


def gemini(reason: str) -> Withheld:
    answer = {"candidates": [{"finishReason": reason}], "usageMetadata": {"promptTokenCount": 7}}
    return Withheld(f"gemini {reason}", "gemini", (whole(answer),), True, (stream([answer]),))


def ordered(dialect: str, taken: Any, told: Any) -> Withheld:
    return Withheld(f"{dialect} {told}", dialect, (whole(taken), whole(told)))


CASES = (
    *map(gemini, ("NO_IMAGE", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER")),
    Withheld("images 400", "images", (whole({"error": {**SAFETY, "code": "moderation_blocked"}}, 400),)),
    Withheld("images 200", "images", (whole({"error": {**SAFETY, "code": "moderation_blocked"}}),)),
    Withheld("images empty list", "images", (whole({"created": 1, "data": []}),)),
    Withheld("images empty entry", "images", (whole({"data": [{"url": "", "respect_moderation": False}]}),)),
    Withheld("images with the bytes", "images", (whole({"data": [{"b64_json": PIXEL, "respect_moderation": False}]}),)),
    ordered("bfl", {"id": "NONCE"}, {"status": "Request Moderated"}),
    ordered("bfl", {"id": "NONCE"}, {"status": "Content Moderated"}),
    ordered(
        "riverflow",
        {"data": {"jobId": "NONCE"}},
        {"data": {"job": {"status": "failed", "lastErrorMessage": "Content policy violation."}}},
    ),
    Withheld(
        "responses",
        "responses",
        (whole({"status": "failed", "error": {**SAFETY, "code": "moderation_blocked"}}),),
        streamed=(stream([{"type": "error", "error": {**SAFETY, "code": "moderation_blocked"}}]),),
    ),
    Withheld(
        "chat",
        "chat",
        (whole({"error": {**SAFETY, "code": "moderation_blocked"}}),),
        streamed=(stream([{"error": {**SAFETY, "code": "moderation_blocked"}}]),),
    ),
)
BROKEN = Withheld("a broken server", "images", (whole({"error": {"message": "Out of order."}}, 500),))


@pytest.fixture(scope="module")
def gateway(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A model `drawn/<number>` for each case, and `drawn/next`, which draws."""
    config = CONFIG + PROVIDER.format(name="next", dialect="images", url=f"{upstream.url}/next/v1")
    config += ENDPOINT.format(provider="next", model="drawn/next") + 'output_modalities = ["image"]\n'
    for dialect in sorted({case.dialect for case in CASES}):
        config += PROVIDER.format(name=f"wire-{dialect}", dialect=dialect, url=f"{upstream.url}/{dialect}/v1")
    for number, case in enumerate((*CASES, BROKEN)):
        config += ENDPOINT.format(provider=f"wire-{case.dialect}", model=f"drawn/{number}")
        config += 'output_modalities = ["image", "text"]\n'
    with running(tmp_path_factory.mktemp("withheld"), config, MOCK_KEY=PROVIDER_KEY) as server:
        yield server


def play(case: Withheld, streams: bool, upstream: Upstream, nonce: str) -> None:
    scripts = case.streamed or case.scripts if streams else case.scripts
    steps = [
        [step.replace(b"NONCE", nonce.encode()) if isinstance(step, bytes) else step for step in script.steps]
        for script in scripts
    ]
    upstream.play(nonce, *(Script(each) for each in steps), host=case.dialect)


def condition(gateway: Gateway, model: str) -> Any:
    body = {"model": model, "input": "A cat.", "modalities": ["image"]}
    (place,) = gateway.call(body, path="/api/v1/responses/explain").json["order"]
    return place["condition"]


@pytest.mark.parametrize("streams", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("number", range(len(CASES)), ids=[case.id for case in CASES])
def test_a_picture_that_is_withheld_is_nobodys_fault(
    number: int, streams: bool, gateway: Gateway, upstream: Upstream, nonce: str
) -> None:
    case, model = CASES[number], f"drawn/{number}"
    for turn in range(4):
        said = f"{nonce}-{turn}"
        play(case, streams, upstream, said)
        reply = gateway.call({"model": model, "input": said, "modalities": ["image"], "stream": streams})
        if case.is_incomplete:
            told = events_of(reply, "incomplete")[-1]["response"] if streams else response_of(reply, "incomplete")
            assert (told["output"], told["incomplete_details"]) == ([], {"reason": "content_filter"})
        elif streams and reply.status == 200:  # the item was opened when the order was taken
            error = events_of(reply, "failed")[-1]["response"]["error"]
            assert error["code"] == "image_content_policy_violation"
        else:
            assert error_of(reply, 403)["metadata"]["error_type"] == "content_policy_violation"
    assert condition(gateway, model) == "stable"


def test_a_server_that_breaks_is_at_fault(gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    model = f"drawn/{len(CASES)}"
    play(BROKEN, False, upstream, nonce)
    for _ in range(4):
        error_of(gateway.call({"model": model, "input": nonce, "modalities": ["image"]}), 502)
    assert condition(gateway, model) != "stable"


@pytest.mark.parametrize(
    "number", [n for n, case in enumerate(CASES) if not case.is_incomplete], ids=lambda n: CASES[n].id
)
def test_the_next_model_draws_what_one_withholds(number: int, gateway: Gateway, upstream: Upstream, nonce: str) -> None:
    play(CASES[number], False, upstream, nonce)
    upstream.play(nonce, whole({"data": [{"b64_json": PIXEL}]}), host="next")
    body = {"models": [f"drawn/{number}", "drawn/next"], "input": nonce, "modalities": ["image"]}
    reply = gateway.call(body)
    assert [item["type"] for item in response_of(reply)["output"]] == ["image_generation_call"]
    assert reply.headers["x-trunkline-provider"] == "next"
