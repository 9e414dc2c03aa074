"""PR-11, FE-20: names that DNS never answers, of providers and in links, beside those it does."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.conftest import CONFIG, PROVIDER
from tests.gateway.dns import answering
from tests.gateway.server import PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream

DEAD = [f"dead-{number}" for number in range(4)]
HEALTHY = ["numeric", "local", "named"]
ENDPOINT = '[[endpoints]]\nprovider = "{}"\nmodel = "{}"\nquirks = {{ image_urls = "inline" }}\n'

_fresh = count()


@pytest.fixture(scope="module")
def named(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with four providers whose names hang, and three healthy ones: by number, localhost and name."""
    urls = {name: f"http://{name}.example:{upstream.port}/{name}/v1" for name in DEAD}
    hosts = ("127.0.0.1", "localhost", "alive.example")
    urls |= {name: f"http://{host}:{upstream.port}/{name}/v1" for name, host in zip(HEALTHY, hosts, strict=True)}
    config = CONFIG.replace('deadline = "6 s"', 'deadline = "3 s"')
    config += "".join(PROVIDER.format(name=name, dialect="chat", url=url) for name, url in urls.items())
    for name in HEALTHY:
        config += "".join(ENDPOINT.format(each, f"mock/{name}") for each in (*DEAD, name))
    config += "".join(ENDPOINT.format(name, "mock/dead") for name in DEAD)
    folder = tmp_path_factory.mktemp("names")
    with (
        answering(folder, {"alive.example": "127.0.0.1"}) as within,
        running(folder, config, within=within, MOCK_KEY=PROVIDER_KEY) as server,
    ):
        yield server


def timed(gateway: Gateway, upstream: Upstream, healthy: str) -> float:
    """Ask a healthy provider over a new connection, and how long that took in seconds."""
    upstream.hang_up()
    began = time.monotonic()
    only = {"only": [healthy]}
    response_of(gateway.call(ask(f"mock/{healthy}", f"Hello {next(_fresh)}.", provider=only)))
    return time.monotonic() - began


@pytest.mark.parametrize("healthy", HEALTHY)
def test_PR_11_four_names_that_hang_do_not_touch_a_healthy_provider(
    healthy: str, named: Gateway, upstream: Upstream
) -> None:
    usual = min(timed(named, upstream, healthy) for _ in range(3))
    with ThreadPoolExecutor(8) as clients:
        order = [{"order": [name], "allow_fallbacks": False} for name in DEAD * 2]
        asked = [clients.submit(named.call, ask("mock/dead", "Hello.", provider=each)) for each in order]
        time.sleep(0.2)
        beside = [timed(named, upstream, healthy) for _ in range(5)]
        assert min(beside) < usual + 0.1
        assert max(beside) < usual + 0.5
        for call in asked:
            assert call.result().status in (502, 503, 524)
    figures = named.request("GET", f"/api/v1/models/mock/{healthy}/endpoints").json["data"]["endpoints"]
    uptimes = {each["provider_name"]: each["uptime_last_30m"] for each in figures}
    assert uptimes[healthy] in (None, 1.0, 100.0)


@pytest.mark.parametrize("healthy", HEALTHY)
def test_PR_11_a_request_goes_on_to_the_healthy_provider_at_the_connect_limit(healthy: str, named: Gateway) -> None:
    """The look-up is within the limit of a connection, one second here; by itself it would take ten."""
    began = time.monotonic()
    order = {"order": ["dead-0", healthy]}
    response = response_of(named.call(ask(f"mock/{healthy}", "Hello.", provider=order)))
    assert response["output_text"] == "Hello."
    assert time.monotonic() - began < 2.5


def test_FE_20_links_to_names_that_hang_do_not_hold_up_other_links(named: Gateway) -> None:
    """A link to a private address stands for an honest one: it is refused as soon as its name is found."""

    def linked(*hosts: str) -> dict[str, object]:
        links = [{"type": "input_image", "image_url": f"http://{host}/p.png", "detail": "auto"} for host in hosts]
        return ask("mock/numeric", "", provider={"only": ["numeric"]}) | {"input": [{"role": "user", "content": links}]}

    with ThreadPoolExecutor(25) as clients:
        groups = [[f"l{group}-{number}.example" for number in range(8)] for group in range(25)]
        asked = [clients.submit(named.call, linked(*group)) for group in groups]
        time.sleep(0.5)
        began = time.monotonic()
        error = error_of(named.call(linked("alive.example")), 400)
        assert time.monotonic() - began < 1.0
        assert "no public address" in error["message"]
        for call in asked:
            assert call.result().status in (400, 502, 503, 524)
