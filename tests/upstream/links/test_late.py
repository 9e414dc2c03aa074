"""The client for links comes with the first link, once."""

from __future__ import annotations

import asyncio

from tests.gateway.conftest import closed_port
from trunkline.upstream.links.late import LateLinkClient
from trunkline.upstream.transport import UpstreamFailure


def test_one_that_nobody_needed_is_closed_without_being_loaded() -> None:
    asyncio.run(LateLinkClient(1.0).close())


def test_links_asked_for_at_once_share_the_client_and_fail_each_for_itself() -> None:
    async def ask(port: int) -> list[object]:
        late = LateLinkClient(1.0)
        asked = [late.get(f"http://one.test:{port}/", {}, ["127.0.0.1"]) for _ in range(3)]
        leaving = asyncio.create_task(late.get(f"http://one.test:{port}/", {}, ["127.0.0.1"]))
        await asyncio.sleep(0)
        leaving.cancel()
        found = await asyncio.gather(*asked, return_exceptions=True)
        await late.close()
        return list(found)

    with closed_port() as port:
        found = asyncio.run(ask(port))
    assert [type(each) for each in found] == [UpstreamFailure] * 3
