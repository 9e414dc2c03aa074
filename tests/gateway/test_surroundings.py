"""What the gateway stands in: a standard error that nobody reads, or that cannot be written."""

from __future__ import annotations

import http.client
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.gateway.checks import ask, error_of, response_of
from tests.gateway.conftest import ENDPOINT, PROVIDER, closed_port
from tests.gateway.server import KEY, PROVIDER_KEY, Gateway, running
from tests.gateway.upstream import Upstream

PIPE_BYTES = 64 * 1024
LINE_BYTES = 200
"""Less than any line of the log has."""


@contextmanager
def pipe(*, is_open: bool) -> Iterator[int]:
    """A pipe to write to, that nobody reads or that nobody can read any more."""
    reading, writing = os.pipe()
    if not is_open:
        os.close(reading)
    try:
        yield writing
    finally:
        os.close(writing)
        if is_open:
            os.close(reading)


@contextmanager
def full_disk() -> Iterator[int]:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def config(upstream: Upstream, nobody: int) -> str:
    """`mock/down` cannot be reached; `mock/down-then-up` is answered by the second provider asked."""
    return (
        'log.level = "debug"\nproviders.fake-provider.enabled = true\n'
        + PROVIDER.format(name="down", dialect="chat", url=f"http://127.0.0.1:{nobody}/v1")
        + PROVIDER.format(name="up", dialect="chat", url=f"{upstream.url}/chat/v1")
        + ENDPOINT.format(provider="down", model="mock/down")
        + ENDPOINT.format(provider="down", model="mock/down-then-up")
        + ENDPOINT.format(provider="up", model="mock/down-then-up")
    )


def call_often(gateway: Gateway, times: int) -> None:
    """Send good and failing requests by turns, over one connection; each writes a line or two."""
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)) as connection:
        for number in range(times):
            is_good = number % 2 == 0
            body = ask("fake/echo", "Hi" if is_good else "!status 400 No.")
            connection.request("POST", "/api/v1/responses", json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == (200 if is_good else 400), text


def check_undisturbed(standard_error: AbstractContextManager[int], upstream: Upstream, folder: Path) -> None:
    with standard_error as stderr, closed_port() as nobody:
        with running(folder, config(upstream, nobody), stderr, MOCK_KEY=PROVIDER_KEY) as gateway:
            error_of(gateway.call(ask("mock/down")), 502)
            response_of(gateway.call(ask("mock/down-then-up", provider={"order": ["down", "up"]})))
            call_often(gateway, 2 * PIPE_BYTES // LINE_BYTES)
            began = time.monotonic()
            assert gateway.request("GET", "/health/live").status == 200
            assert time.monotonic() - began < 0.5
        assert gateway.process.returncode == 0


def test_PR_14_a_log_that_nobody_reads_holds_up_no_request_and_no_end(upstream: Upstream, tmp_path: Path) -> None:
    check_undisturbed(pipe(is_open=True), upstream, tmp_path)


@pytest.mark.parametrize("standard_error", [full_disk, lambda: pipe(is_open=False)], ids=["full", "closed"])
def test_PR_15_a_log_that_cannot_be_written_fails_no_request_and_no_start(
    standard_error: Callable[[], AbstractContextManager[int]], upstream: Upstream, tmp_path: Path
) -> None:
    check_undisturbed(standard_error(), upstream, tmp_path)
