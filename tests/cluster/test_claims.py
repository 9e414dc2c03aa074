"""One `Idempotency-Key` over three nodes: one answer, whichever of them is asked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tests.cluster.nodes import Cluster
from tests.cluster.outages import slow_stream
from tests.gateway.upstream import Script, Upstream, completion, whole
from tests.gateway.waiting import eventually
from trunkline.money import nano_of

ASKED = {"model": "mock/fee", "input": "a"}


def test_MO_29_CL_12_one_key_over_three_nodes_is_one_answer(audited: Cluster, upstream: Upstream) -> None:
    """Fifty that ask at once, each at another node than the one before, are one call and one charge."""
    tenant = audited.books.tenant(credit="10")
    nonce = upstream.play("nonce-one-key", Script([0.4, *whole(completion()).steps]))
    body = {**ASKED, "input": nonce}
    with ThreadPoolExecutor(50) as pool:
        asked = pool.map(lambda _: audited.call(body, key=tenant.key, idempotency_key="one"), range(50))
        got = list(asked)
    assert {reply.status for reply in got} == {200}, [reply.body for reply in got if reply.status != 200][:3]
    assert len({(reply.body, reply.headers["x-generation-id"]) for reply in got}) == 1
    assert [reply.headers.get("x-trunkline-replayed") for reply in got].count(None) == 1
    assert len(upstream.seen(nonce)) == 1
    assert audited.books.charged_nano(tenant) == nano_of("1")
    assert list(audited.books.recorded(tenant).values()) == ["completed"]


def test_MO_29_PR_05_what_a_killed_node_had_begun_is_answered_at_another(audited: Cluster, upstream: Upstream) -> None:
    """Who asks another node waits, and is answered as soon as the node is back, or counts as gone."""
    tenant = audited.books.tenant(credit="10")
    nonce = upstream.play("nonce-killed-claim", slow_stream(30.0))
    body = {**ASKED, "input": nonce}
    node, other = audited.nodes[1], audited.nodes[0]
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(node.call, body, key=tenant.key, idempotency_key="killed")
        eventually(lambda: len(upstream.seen(nonce)) == 1, "nobody is asked")
        upstream.play(nonce, whole(completion()))
        node.kill()
        assert first.exception(10) is not None
        again = pool.submit(other.call, body, key=tenant.key, idempotency_key="killed")
        refused = audited.nodes[2].call({**body, "input": "other"}, key=tenant.key, idempotency_key="killed")
        assert refused.status == 422
        assert not again.done()
        node.start()
        reply = again.result(20)
    assert (reply.status, reply.headers.get("x-trunkline-replayed")) == (200, None)
    assert node.call(body, key=tenant.key, idempotency_key="killed").body == reply.body
    assert len(upstream.seen(nonce)) == 2
    assert audited.books.charged_nano(tenant) == nano_of("1")
    assert sorted(audited.books.recorded(tenant).values()) == ["completed", "lost"]
