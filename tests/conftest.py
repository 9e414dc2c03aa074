"""How property tests run, for all of them: no test sets a time limit or silences a check of its own.

Of laws and property tests no coverage is measured, which would double what they take; of what they start neither.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.servers.fixtures import (
    clock_library,
    postgres,
    postgres_url,
    redis_server,
    redis_url,
    shared_redis,
    start_nginx,
)

__all__ = [
    "clock_library",
    "postgres",
    "postgres_url",
    "redis_server",
    "redis_url",
    "shared_redis",
    "start_nginx",
]

_FOR_CHILDREN = "COVERAGE_PROCESS_CONFIG"
"""Where coverage.py tells the processes that a test starts to measure, too."""

_OUTSIDE = (
    "tests/gateway/",
    "tests/providers/",
    "tests/clients/",
    "tests/browser/",
    "tests/servers/",
    "tests/cluster/",
    "tests/test_walk.py",
    "tests/test_architecture.py",
)
"""Tests that run nothing of ours in their own process, or only read it."""

settings.register_profile(
    "trunkline",
    deadline=None,
    # How long an example takes to make or to run says how busy the machine is, and failed good changes.
    suppress_health_check=[HealthCheck.too_slow],
    # The same change gets the same verdict twice where a merge waits for it; at home each run looks elsewhere.
    derandomize="CI" in os.environ,
    print_blob=True,
)
settings.load_profile("trunkline")


# What collecting makes lives to the end: looking for garbage in it took a fifth of all that the tests took.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@contextmanager
def _unmeasured(*, with_children: bool) -> Iterator[None]:
    """Measure no coverage meanwhile, here and in what is started if `with_children`."""
    coverage = Coverage.current()
    if coverage is None:
        yield
        return
    told = os.environ.pop(_FOR_CHILDREN, None) if with_children else None
    coverage.stop()
    try:
        yield
    finally:
        coverage.start()
        if told is not None:
            os.environ[_FOR_CHILDREN] = told


def _is_property(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and getattr(item.obj, "is_hypothesis_test", False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    is_law = item.get_closest_marker("law") is not None or _is_property(item)
    with _unmeasured(with_children=is_law) if is_law or item.nodeid.startswith(_OUTSIDE) else nullcontext():
        return (yield)
