"""The list of models: made once, beside the loop, for all who ask at the same time."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace
from typing import Any, cast

from starlette.requests import Request

from tests.routing.catalogs import endpoint
from trunkline.call import Services
from trunkline.catalog.entries import Endpoint
from trunkline.server.listings import Listings
from trunkline.upstream.aside import Aside


class Watched(dict[str, tuple[Endpoint, ...]]):
    """What can be called, and the threads in which it was gone through."""

    def __init__(self, endpoints: Any) -> None:
        super().__init__(endpoints)
        self.readers: list[str] = []

    def items(self) -> Any:
        self.readers.append(threading.current_thread().name)
        return super().items()


def test_the_first_list_of_models_holds_the_loop_for_nobody() -> None:
    async def asked(times: int) -> list[bytes]:
        services = cast(
            Services, SimpleNamespace(router=None, catalog=SimpleNamespace(endpoints=watched), aside=Aside())
        )
        listings = Listings(services, is_open=True)
        request = Request({"type": "http"})
        return [bytes(each.body) for each in await asyncio.gather(*(listings.models(request) for _ in range(times)))]

    watched = Watched({name: (endpoint(model=name),) for name in ("m/two", "m/one")})
    first, *others = asyncio.run(asked(8))
    assert [name.partition("_")[0] for name in watched.readers] == ["trunkline-aside"]
    assert set(others) == {first}
    assert json.loads(first)["object"] == "list"
    assert [model["id"] for model in json.loads(first)["data"]] == sorted(watched)
