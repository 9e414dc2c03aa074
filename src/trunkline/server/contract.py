"""The OpenAPI document as the gateway serves it.

The shipped file is the contract and is not edited. It calls itself 3.1 but uses the 3.0 keyword `nullable`, which 3.1
tools ignore; it is served with that keyword turned into null types.
"""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from trunkline.call import Services


@lru_cache(maxsize=1)
def contract() -> dict[str, Any]:
    """The contract, mended; read once."""
    document: dict[str, Any] = json.loads(Path(__file__).with_name("openapi.json").read_bytes())
    mended: dict[str, Any] = mend_nullable(document)
    mended["servers"] = [{"url": "/api/v1", "description": "This gateway"}]
    return mended


@lru_cache(maxsize=1)
def contract_bytes() -> bytes:
    return json.dumps(contract(), separators=(",", ":")).encode()


async def show_contract(services: Services, _: Request) -> Response:
    """Answer GET /openapi.json."""
    return Response(await services.aside.run(contract_bytes), media_type="application/json")


async def show_reference(services: Services, _: Request) -> Response:
    """Answer GET /docs; what makes the page is loaded for the first who opens it."""
    reference = await services.aside.run(import_module, "trunkline.server.reference")
    page: Response = await services.aside.run(reference.answer_reference)
    return page


def mend_nullable(node: Any) -> Any:
    """Turn every `nullable: true` into a type that admits null, everywhere below `node`."""
    if isinstance(node, list):
        return [mend_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    mended = {key: mend_nullable(value) for key, value in node.items() if key != "nullable" or value is not True}
    if node.get("nullable") is not True:
        return mended
    if isinstance(mended.get("type"), str) and "enum" not in mended and "allOf" not in mended:
        return {**mended, "type": [mended["type"], "null"]}
    return {"anyOf": [mended, {"type": "null"}]}
