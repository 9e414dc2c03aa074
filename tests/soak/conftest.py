"""Proofs that take minutes: `make soak` runs what is called `prove_*.py` here, `make test` does not."""

from __future__ import annotations

import itertools
import resource

import pytest

_NEEDED_FILES = 12_000


@pytest.fixture(scope="session", autouse=True)
def many_open_files() -> None:
    """Allow this process, and the gateways that it starts, thousands of sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < _NEEDED_FILES:
        pytest.skip(f"needs {_NEEDED_FILES} open files; this machine allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, _NEEDED_FILES), hard))


@pytest.fixture
def nonce() -> str:
    return f"nonce-{next(_numbers)}"


_numbers = itertools.count(1)
