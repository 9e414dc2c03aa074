"""The store away for some seconds while clients ask: what they are told meanwhile, and what is on record afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from tests.cluster.books import Tenant
from tests.cluster.load import Got, Load, at_once, shown
from tests.cluster.nodes import Cluster
from tests.gateway.upstream import Script, Upstream, chunk, head, sse, usage_chunk
from tests.gateway.waiting import eventually

TIMEOUT_S = 2.0
"""How long a statement may take, once for the key and once for the hold; what began so long before the end of an outage
may still be served."""
STREAMS = 6
"""How many streams are open when the store goes, and end while it is away."""
GOOD_WITHIN_S = 10.0
TOLD_WITHIN_S = 6.0
"""A generous bound for what is refused: the timeout, once for the key and once for the hold, on a busy machine."""


@dataclass
class Outage:
    """What happened while the store was away, and before and after."""

    cluster: Cluster
    limited: Tenant
    unlimited: Tenant
    load: Load
    streams: list[Got] = field(default_factory=list)
    began_s: float = 0.0
    ended_s: float = 0.0

    def check_statuses(self) -> None:
        """Answers or 503, never a 401 or 500; only limited keys are refused, with a time to come back."""
        odd = [each for each in self.load.got if each.status not in (200, 503)]
        assert not odd, shown(odd)
        refused = [each for each in self.load.got if each.status == 503]
        assert all(each.key == self.limited.key for each in refused), shown(
            [each for each in refused if each.key != self.limited.key]
        )
        assert all(each.reply is not None and int(each.reply.headers["retry-after"]) >= 1 for each in refused)
        assert all(each.took_s < TOLD_WITHIN_S for each in refused), max(each.took_s for each in refused)
        cut = [each for each in self.load.got if each.status == 200 and not each.is_whole]
        assert not cut, shown(cut)

    def check_limited(self) -> None:
        """None is served that began in the outage and could not outwait it."""
        during = self.load.between(self.began_s + 0.3, self.ended_s - 2 * TIMEOUT_S - 0.2)
        mine = [each for each in during if each.key == self.limited.key]
        assert mine
        served = [each for each in mine if each.status != 503]
        assert not served, shown(served)

    def check_records(self) -> None:
        """Every answer's record is there soon after the store's return."""
        for tenant in (self.limited, self.unlimited):
            answers = [each for each in self.load.got if each.key == tenant.key and each.status == 200]
            answers += self.streams if tenant is self.limited else []
            within_s = max(1.0, self.ended_s + GOOD_WITHIN_S - time.monotonic())
            self.cluster.books.await_records(tenant, [each.id for each in answers], within_s)


def play(
    cluster: Cluster, upstream: Upstream, fault: AbstractContextManager[object], seconds: float, rate: float = 60.0
) -> Outage:
    """Have clients ask while the store is away for so long."""
    limited, unlimited = cluster.books.tenant(credit="100000"), cluster.books.tenant()
    unseen = cluster.books.tenant()
    nonce = f"nonce-outage-{limited.account_id.replace('_', '-')}"
    upstream.play(nonce, slow_stream(seconds / 2))

    def bodies(number: int) -> tuple[Any, str]:
        key = (limited if number % 2 else unlimited).key
        return {"model": "mock/fee", "input": "a", "stream": number % 4 < 2}, key

    def stream() -> None:
        body = {"model": "mock/fee", "input": nonce, "stream": True}
        outage.streams = at_once(cluster.ports, body, limited.key, STREAMS)

    with Load(cluster.ports, rate, bodies) as load:
        outage = Outage(cluster, limited, unlimited, load)
        eventually(lambda: len(load.got) > 20, "nothing is answered", 20)
        streaming = threading.Thread(target=stream)
        streaming.start()
        eventually(lambda: len(upstream.seen(nonce)) == STREAMS, "nothing is streamed")
        with fault:
            outage.began_s = time.monotonic()
            time.sleep(seconds / 2)
            check_unseen(cluster, unseen)
            time.sleep(max(0.0, outage.began_s + seconds - time.monotonic()))
        outage.ended_s = time.monotonic()
        eventually(lambda: _is_good(outage), "limited keys are not served again", GOOD_WITHIN_S)
    streaming.join(30)
    assert len(outage.streams) == STREAMS
    assert all(each.is_whole for each in outage.streams), shown([each for each in outage.streams if not each.is_whole])
    return outage


def check_unseen(cluster: Cluster, unseen: Tenant) -> None:
    """A key that no node has seen cannot be told from one that there is not: 503, and never a 401."""
    got = at_once(cluster.ports, {"model": "mock/fee", "input": "a"}, unseen.key, len(cluster.ports))
    assert [each.status for each in got] == [503] * len(got), shown(got)


def slow_stream(seconds: float) -> Script:
    """A provider's stream that takes so long."""
    pieces: list[bytes | float] = [head(200, "text/event-stream"), sse([chunk("", role="assistant"), chunk("Hel")])]
    return Script([*pieces, seconds, sse([chunk("lo."), chunk(finish="stop"), usage_chunk(), "[DONE]"])])


def _is_good(outage: Outage) -> bool:
    """Whether the last limited requests that began after the end of the outage were served."""
    since: Sequence[Got] = [
        each for each in list(outage.load.got) if each.began_s > outage.ended_s and each.key == outage.limited.key
    ]
    return len(since) > 20 and all(each.status == 200 for each in since[-20:])
