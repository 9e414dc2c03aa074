"""Attempts of several exchanges, links on the way to a provider, and tokens that cannot be had; over real HTTP."""

from __future__ import annotations

import asyncio
import json
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from tests.upstream.loopback import Asked, Loopback, answer, saying, serving
from trunkline.catalog.entries import Catalog, Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.credentials.schemes import Credential
from trunkline.errors import BadGateway, BadRequest, EdgeTimeout, Forbidden, GatewayError, TooManyRequests
from trunkline.faces.responses.parse import parse
from trunkline.routing.affinity import Affinity
from trunkline.routing.health import HEDGE_SAMPLES, Health, Outcome
from trunkline.routing.plan import Plan
from trunkline.settings.secret import Secret
from trunkline.stream.deltas import Began, Delta, Image, Spent, Stopped, Text, Usage
from trunkline.upstream.aside import Aside
from trunkline.upstream.asking import Upstream
from trunkline.upstream.attempts import Run
from trunkline.upstream.http import HttpClient
from trunkline.upstream.lines import Lines
from trunkline.upstream.links.client import LinkClient
from trunkline.upstream.links.fetch import Fetcher, Limits
from trunkline.upstream.patience import Timeouts
from trunkline.upstream.shares import Claim
from trunkline.upstream.tokens import Lease, NoToken, Source, Tokens

TEXT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PIXEL = b64decode(TEXT)
KEY = "made-up-provider-key"
PICTURE = [Image(0, TEXT, True, "image/png"), Spent(Usage(images=1)), Stopped("stop")]


def endpoint(server: Loopback, dialect: Dialect, name: str = "acme", **quirks: Any) -> Endpoint:
    return Endpoint(
        model=Model(slug=f"{name}/quill"),
        provider=Provider(slug=name, name=name.title()),
        upstream_model="quill-2",
        dialect=dialect,
        base_url=server.url("/v1"),
        quirks=Quirks(**quirks),
    )


@asynccontextmanager
async def asking(
    sources: Mapping[str, Source] | None = None, is_allowed: Callable[[str], bool] = lambda address: False
) -> AsyncIterator[Upstream]:
    http, links = HttpClient(Timeouts(2.0, 2.0, 2.0)), LinkClient(2.0)
    fixed = {"acme": Credential("header", "x-key", Secret(KEY))}
    tokens = Tokens(fixed, sources or {}, clock=time.monotonic)
    http.open()
    links.open()
    tokens.open()
    try:
        yield Upstream(
            transports={"http": http},
            tokens=tokens,
            fetcher=Fetcher(links, Limits(deadline_s=2.0), at_home, is_allowed=is_allowed),
            health=Health(),
            affinity=Affinity(),
            aside=Aside(),
            end_user_secret=b"s",
            clock=time.monotonic,
            wall_clock=time.time,
            sleep=at_once,
        )
    finally:
        await tokens.close()
        await links.close()
        await http.close()


async def at_home(host: str, claim: Claim) -> list[str]:
    """Every name leads to this machine."""
    return ["127.0.0.1"]


async def at_once(seconds: float) -> None:
    """No test waits; that there is time left to wait is asked of the clock all the same."""


def begin(upstream: Upstream, *endpoints: Endpoint, deadline_s: float = 20.0, **fields: Any) -> Run:
    body = {"model": "m", "input": "A red kite over a fjord", **fields}
    plan = Plan(attempts=endpoints, max_attempts=3)
    return Run(upstream, plan, parse(json.dumps(body).encode()), time.monotonic() + deadline_s)


async def heard(run: Run) -> list[Delta]:
    return [delta async for batch in run.deltas() for delta in batch]


class Bfl:
    """A service with one job: how often it is pending, where the result is said to be, what else happens."""

    def __init__(self, *states: bytes, poll: str = "{own}/v1/poll", sample: str = "{own}/abc.png") -> None:
        self.states = list(states)
        self.poll = poll
        self.sample = sample
        self.server: Loopback

    async def say(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        own = self.server.url("").rstrip("/")
        if asked.method == "POST":
            said = answer(json.dumps({"id": "t", "polling_url": self.poll.format(own=own)}).encode())
        elif asked.target.endswith(".png"):
            said = answer(PIXEL, "image/png")
        elif self.states:
            said = self.states.pop(0)
        else:
            ready = {"id": "t", "status": "Ready", "result": {"sample": self.sample.format(own=own)}}
            said = answer(json.dumps(ready).encode())
        writer.write(said)
        await writer.drain()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Loopback]:
        async with serving(self.say) as self.server:
            yield self.server


PENDING = answer(b'{"id":"t","status":"Pending"}')


def drawn(bfl: Bfl, **fields: Any) -> tuple[list[Delta] | GatewayError, Run, Loopback]:
    """Order one picture."""

    async def play() -> tuple[list[Delta] | GatewayError, Run, Loopback]:
        async with bfl.serving() as server, asking() as upstream:
            run = begin(upstream, endpoint(server, "bfl"), **fields)
            try:
                return await heard(run), run, server
            except GatewayError as error:
                return error, run, server

    return asyncio.run(play())


def test_a_job_is_one_attempt_of_several_exchanges() -> None:
    deltas, run, server = drawn(Bfl(PENDING))
    assert deltas == [Began("acme/quill"), *PICTURE]
    assert [(asked.method, asked.target) for asked in server.asked] == [
        ("POST", "/v1/quill-2"),
        ("GET", "/v1/poll"),
        ("GET", "/v1/poll"),
        ("GET", "/abc.png"),
    ]
    assert run.attempted == []


def test_the_key_goes_to_the_job_and_not_to_its_result() -> None:
    _, _, server = drawn(Bfl())
    assert [asked.headers.get("x-key") for asked in server.asked] == [KEY, KEY, None]


def test_a_result_at_a_private_address_elsewhere_is_never_asked_for() -> None:
    async def play() -> int:
        async with serving(saying(answer(PIXEL, "image/png"))) as tripwire:
            bfl = Bfl(sample=tripwire.url("/abc.png"))
            async with bfl.serving() as server, asking() as upstream:
                with pytest.raises(BadGateway, match="no public address"):
                    await heard(begin(upstream, endpoint(server, "bfl")))
            return tripwire.connections

    assert asyncio.run(play()) == 0


def test_a_busy_poll_does_not_lose_the_job() -> None:
    deltas, run, server = drawn(Bfl(answer(b"{}", status=503), PENDING))
    assert deltas == [Began("acme/quill"), *PICTURE]
    assert run.attempted == []
    assert len(server.asked) == 5


def test_a_moderated_job_is_refused_before_anything_was_told() -> None:
    error, run, _ = drawn(Bfl(answer(b'{"id":"t","status":"Content Moderated"}')))
    assert isinstance(error, Forbidden)
    assert [attempted.output_began for attempted in run.attempted] == [False]


def test_a_client_that_streams_hears_that_work_began() -> None:
    deltas, _, _ = drawn(Bfl(), stream=True)
    assert deltas == [Began("acme/quill"), Image(0, "", False), *PICTURE]


def test_a_job_that_is_never_ready_ends_at_the_deadline() -> None:
    error, _, server = drawn(Bfl(*[PENDING] * 100), deadline_s=1.2)
    assert isinstance(error, EdgeTimeout)
    assert 3 <= len(server.asked) <= 6


def test_an_order_holds_a_key_that_is_never_used_twice() -> None:
    async def play() -> list[str]:
        refusal = answer(b'{"error":{"message":"no"}}', status=400)
        async with serving(saying(refusal)) as server, asking() as upstream:
            for _ in range(2):
                with pytest.raises(BadRequest):
                    await heard(begin(upstream, endpoint(server, "riverflow")))
            return [json.loads(asked.body)["idempotencyKey"] for asked in server.asked]

    first, second = asyncio.run(play())
    assert first != second
    assert len(first) == 32


# Paused turns


def message(reason: str, *content: Mapping[str, object]) -> bytes:
    usage = {"input_tokens": 10, "output_tokens": 5}
    told = {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "content": content,
        "stop_reason": reason,
        "usage": usage,
    }
    return answer(json.dumps(told).encode())


SEARCH: dict[str, Any] = {"tools": [{"type": "web_search"}]}


def test_a_paused_turn_is_gone_on_with_in_the_same_attempt() -> None:
    async def play() -> tuple[list[Delta], list[Asked]]:
        paused = message("pause_turn", {"type": "text", "text": "I look. "})
        rest = message("end_turn", {"type": "text", "text": "So."})
        async with serving(saying(paused, rest)) as server, asking() as upstream:
            return await heard(begin(upstream, endpoint(server, "messages"), **SEARCH)), server.asked

    deltas, asked = asyncio.run(play())
    assert [delta.text for delta in deltas if isinstance(delta, Text)] == ["I look. ", "So."]
    assert deltas[-2:] == [Spent(Usage(input_tokens=20, output_tokens=10)), Stopped("stop")]
    first, second = (json.loads(each.body)["messages"] for each in asked)
    assert second == [*first, {"role": "assistant", "content": [{"type": "text", "text": "I look. "}]}]
    assert [each.headers["x-key"] for each in asked] == [KEY, KEY]


def test_a_turn_that_pauses_without_end_is_incomplete() -> None:
    async def play() -> tuple[list[Delta], int]:
        paused = message("pause_turn", {"type": "text", "text": "x"})
        async with serving(saying(paused)) as server, asking() as upstream:
            return await heard(begin(upstream, endpoint(server, "messages"), **SEARCH)), len(server.asked)

    deltas, asked = asyncio.run(play())
    assert deltas[-1] == Stopped("length")
    assert asked == 9


# Links


def linking(link: str) -> dict[str, Any]:
    content = [{"type": "input_text", "text": "What is this?"}, {"type": "input_image", "image_url": link}]
    return {"input": [{"role": "user", "content": content}]}


def chat_answer(text: str, **headers: str) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return answer(json.dumps({"id": "c", "choices": [choice]}).encode(), "application/json", 200, **headers)


def test_a_link_becomes_a_file_for_those_who_cannot_follow_it_and_only_once() -> None:
    async def play() -> tuple[list[Asked], int]:
        busy = answer(b"{}", status=503)
        async with (
            serving(saying(busy, chat_answer("A pixel."))) as server,
            serving(saying(answer(PIXEL, "image/png"))) as pictures,
            asking(is_allowed=lambda address: address == "127.0.0.1") as upstream,
        ):
            places = [endpoint(server, "chat", name, image_urls="inline") for name in ("one", "two")]
            await heard(begin(upstream, *places, **linking(pictures.url("/p.png", "pictures.example"))))
            return server.asked, pictures.connections

    asked, fetched = asyncio.run(play())
    assert fetched == 1
    assert len(asked) == 2
    for each in asked:
        part = json.loads(each.body)["messages"][0]["content"][1]
        assert part["image_url"]["url"] == f"data:image/png;base64,{TEXT}"


def test_a_link_that_may_not_be_followed_is_the_clients_error_and_nobody_is_asked() -> None:
    async def play() -> tuple[BadRequest, int]:
        async with serving(saying(chat_answer("x"))) as server, asking() as upstream:
            place = endpoint(server, "chat", image_urls="inline")
            with pytest.raises(BadRequest) as caught:
                await heard(begin(upstream, place, **linking(server.url("/p.png", "server.example"))))
            return caught.value, server.connections

    error, connections = asyncio.run(play())
    assert error.kind == "invalid_image_url"
    assert error.metadata["param"] == "input[0].content[1].image_url"
    assert connections == 0


# Turns


@asynccontextmanager
async def in_turn(*places: Endpoint) -> AsyncIterator[tuple[Upstream, Lines]]:
    """What asks two endpoints that take one request at once, and knows how soon the first one usually speaks."""
    async with asking() as upstream:
        lines, health = Lines(1.0, 10, time.monotonic), Health(hedges=0.5)
        lines.add_limits(
            Catalog(standings={}, models={}, endpoints={"m": places}, offers={}, provider_slugs={}, pairs={})
        )
        for _ in range(HEDGE_SAMPLES):
            health.started(places[0].id, time.monotonic())
            health.record(places[0].id, Outcome(first_token_s=0.01), time.monotonic())
        yield replace(upstream, lines=lines, health=health, is_hedging=True), lines


def limited(server: Loopback, name: str) -> Endpoint:
    place = endpoint(server, "chat", name)
    return structs.replace(place, model=Model(slug="m/quill"), concurrency=1)


async def silent(asked: Asked, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(10)


SPOKEN = b"".join(
    b"data: " + json.dumps({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hi."}}]}).encode() + b"\n\n"
    for _ in range(2)
)


def test_who_is_asked_beside_a_silent_one_has_a_turn_and_the_slower_gives_its_own_back() -> None:
    async def play() -> tuple[list[bool], list[bool]]:
        async with (
            serving(silent) as slow,
            serving(saying(answer(SPOKEN + b"data: [DONE]\n\n", "text/event-stream"))) as quick,
            in_turn(one := limited(slow, "one"), two := limited(quick, "two")) as (upstream, lines),
        ):

            def are_free() -> list[bool]:
                return [lines.lines[each.id].may_begin(each.id, time.monotonic()) for each in (one, two)]

            deltas = begin(upstream, one, two, stream=True).deltas()
            await anext(deltas)
            told = are_free()
            await deltas.aclose()
            return told, are_free()

    assert asyncio.run(play()) == ([True, False], [True, True])


def test_nobody_is_asked_beside_a_silent_one_out_of_turn() -> None:
    async def play() -> tuple[int, list[bool]]:
        async with (
            serving(silent) as slow,
            serving(saying(chat_answer("x"))) as quick,
            in_turn(one := limited(slow, "one"), two := limited(quick, "two")) as (upstream, lines),
        ):
            lines.lines[two.id].ask("acc_other", 1, two.id, time.monotonic(), 0.0)
            asked = asyncio.create_task(heard(begin(upstream, one, two, stream=True)))
            await asyncio.sleep(0.2)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            found = [lines.lines[each.id].may_begin(each.id, time.monotonic()) for each in (one, two)]
            return quick.connections, found

    assert asyncio.run(play()) == (0, [True, False])


def test_what_says_that_nothing_is_left_closes_its_line_and_an_answer_opens_it() -> None:
    async def play() -> tuple[float, int]:
        used_up = chat_answer("x", x_ratelimit_remaining_requests="0", x_ratelimit_reset_requests="1s")
        async with serving(saying(used_up, chat_answer("x"))) as server, asking() as alone:
            lines, one = Lines(5.0, 10, time.monotonic), endpoint(server, "chat", "one")
            upstream = replace(alone, lines=lines)
            await heard(begin(upstream, one))
            assert [*lines.lines] == [one.id]
            run = begin(upstream, one)
            await heard(run)
            lines.limited(one, 1.0)
            # Who has no time for the second that it takes is told so at once.
            with pytest.raises(TooManyRequests):
                await heard(begin(upstream, one, deadline_s=1.5))
            return run.waited_s, server.connections

    waited_s, connections = asyncio.run(play())
    assert 0.8 < waited_s < 3
    assert connections == 2


# Tokens


def failing() -> Source:
    async def source() -> Lease:
        raise NoToken("the token endpoint is down")

    return source


def test_an_endpoint_without_a_token_is_passed_over() -> None:
    async def play() -> tuple[list[Delta], Run]:
        async with serving(saying(chat_answer("Hello."))) as server, asking({"cloud": failing()}) as upstream:
            run = begin(upstream, endpoint(server, "chat", "cloud"), endpoint(server, "chat"))
            return await heard(run), run

    deltas, run = asyncio.run(play())
    assert [delta.text for delta in deltas if isinstance(delta, Text)] == ["Hello."]
    assert [(each.endpoint.provider.slug, each.fault.kind) for each in run.attempted] == [("cloud", "credentials")]


def test_without_any_token_the_provider_is_at_fault() -> None:
    async def play() -> GatewayError:
        async with serving(saying(chat_answer("x"))) as server, asking({"cloud": failing()}) as upstream:
            with pytest.raises(BadGateway) as caught:
                await heard(begin(upstream, endpoint(server, "chat", "cloud")))
            assert server.connections == 0
            return caught.value

    assert "token endpoint is down" in asyncio.run(play()).message
