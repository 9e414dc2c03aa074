"""What operators do to the servers while nodes run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import nodes
from tests.cluster.books import Books
from tests.gateway.waiting import eventually
from tests.servers.postgres import Postgres

pytestmark = pytest.mark.timeout(60)
ASKED = {"model": "mock/fee", "input": "a"}


def test_AU_07_the_password_of_the_store_is_changed(postgres: Postgres, settings: str, tmp_path: Path) -> None:
    """Connections that are there stay. When they are lost it is as when the store is, until a node is restarted.

    What was answered meanwhile waits in its journal.
    """
    postgres.run("CREATE ROLE rotated LOGIN PASSWORD 'one-of-spring'")
    postgres.run("CREATE DATABASE rotated OWNER rotated")
    url = f"postgresql://rotated:one-of-spring@127.0.0.1:{postgres.port}/rotated"
    with nodes.started(tmp_path, url, settings=settings, count=1) as cluster:
        books, (node,) = Books(postgres.url_of("rotated")), cluster.nodes
        limited, unlimited = books.tenant(credit="10"), books.tenant()
        postgres.run("ALTER ROLE rotated PASSWORD 'one-of-autumn'")
        assert [node.call(ASKED, key=tenant.key).status for tenant in (limited, unlimited)] == [200, 200]

        postgres.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'")
        eventually(lambda: node.call(ASKED, key=limited.key).status == 503, "the store is there", 5)
        refused, served = node.call(ASKED, key=limited.key), node.call(ASKED, key=unlimited.key)
        assert (refused.status, served.status) == (503, 200)
        eventually(lambda: bool(node.log("store.down")), "the operator is not told", 5)
        assert "user and password in store.url" in str(node.log("store.down")[0])
        assert "one-of-" not in (node.folder / "gateway.log").read_text() + str(refused.body)

        node.stop()
        node.settings = node.settings.replace("one-of-spring", "one-of-autumn")
        node.start()
        assert node.call(ASKED, key=limited.key).status == 200
        books.await_records(unlimited, [served.headers["x-generation-id"]])
        books.check()
    postgres.run("DROP DATABASE rotated WITH (FORCE)")
    postgres.run("DROP ROLE rotated")
