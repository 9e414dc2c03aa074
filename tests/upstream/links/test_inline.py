"""Files in the place of links: fetched once, however many endpoints are asked."""

from __future__ import annotations

import asyncio

import pytest

from tests.adapters import served
from tests.upstream.links.test_fetch import PIXEL, fetching
from tests.upstream.loopback import answer, saying, serving
from trunkline.adapters.encoding.links import Wanted, links_to_inline
from trunkline.adapters.media import inline
from trunkline.adapters.table import ADAPTERS
from trunkline.catalog.entries import Dialect, Endpoint
from trunkline.errors import BadRequest
from trunkline.protocol.items import InputFile, InputImage, InputPart, Message
from trunkline.protocol.request import Request
from trunkline.upstream.links.inline import Links


def endpoint(dialect: Dialect) -> Endpoint:
    return served.endpoint(dialect=dialect)


def asking(*parts: InputPart) -> Request:
    return Request(input=(Message(role="user", content=parts),))


def parts_of(request: Request) -> tuple[object, ...]:
    message = request.input[0]
    assert isinstance(message, Message)
    return message.content


def wanted(request: Request, dialect: Dialect) -> list[Wanted]:
    return links_to_inline(request, endpoint(dialect), ADAPTERS[dialect].needs_file)


def later() -> float:
    return asyncio.get_running_loop().time() + 5.0


def test_each_link_is_fetched_once_for_all_attempts() -> None:
    async def play() -> None:
        async with serving(saying(answer(PIXEL, "image/png"))) as server, fetching() as fetcher:
            link = server.url("/p.png")
            request = asking(InputImage(link), InputImage(link), InputFile(file_url=link))
            links = Links(fetcher)
            assert not wanted(request, "responses")
            assert server.connections == 0
            first = await links.inlined(request, wanted(request, "cohere"), later())
            assert server.connections == 1
            second = await links.inlined(request, wanted(request, "converse"), later())
            assert server.connections == 2
            assert await links.inlined(request, wanted(request, "gemini"), later()) == second
            assert server.connections == 2
            assert parts_of(first)[:2] == parts_of(request)[:2]
            picture = parts_of(second)[0]
            assert isinstance(picture, InputImage)
            found = inline(picture.image_url)
            assert found is not None
            assert found.decode() == PIXEL

    asyncio.run(play())


def test_a_link_that_leads_nowhere_is_the_clients_error_with_its_place() -> None:
    async def play() -> None:
        async with fetching() as fetcher:
            request = asking(InputImage("http://10.9.8.7/"))
            with pytest.raises(BadRequest) as caught:
                await Links(fetcher).inlined(request, wanted(request, "converse"), later())
            assert caught.value.metadata["param"] == "input[0].content[0].image_url"

    asyncio.run(play())
