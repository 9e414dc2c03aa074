"""What reads files, loaded when the first comes: most gateways never read one."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trunkline.upstream.reading import Documents


class LateDocuments:
    """What reads files, and is not there until it is needed; `ocr` names the engine for scanned ones that is on.

    `make` gets the module that `Documents` are in.
    """

    def __init__(self, make: Callable[[ModuleType], Documents], ocr: str = "") -> None:
        self.ocr = ocr
        self._make = make
        self._loading: asyncio.Task[Documents] | None = None

    async def get(self) -> Documents:
        """What reads files; the first waits for it to be loaded."""
        if self._loading is None:
            self._loading = asyncio.create_task(self._load())
            self._loading.add_done_callback(self._forget_failure)
        return await asyncio.shield(self._loading)

    async def __aenter__(self) -> LateDocuments:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._loading is not None:
            await (await self._loading).__aexit__()

    def _forget_failure(self, loading: asyncio.Task[Documents]) -> None:
        """The next may have more luck: a thread or memory that was not to be had may be later."""
        if loading.cancelled() or loading.exception() is not None:
            self._loading = None

    async def _load(self) -> Documents:
        # By name, in a thread: an import here would load it for all, and one on the loop would hold up everybody.
        module: ModuleType = await asyncio.to_thread(importlib.import_module, "trunkline.upstream.reading")
        for name in ("trunkline.filing", "trunkline.stepping"):
            await asyncio.to_thread(importlib.import_module, name)
        made = self._make(module)
        return await made.__aenter__()
