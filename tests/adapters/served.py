"""An endpoint that serves `acme/quill-2`, for tests of one adapter alone. It asserts nothing."""

from __future__ import annotations

from typing import Any

from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks


def endpoint(quirks: Quirks | None = None, *, dialect: Dialect = "chat", **fields: Any) -> Endpoint:
    """Make one; `fields` are more of it."""
    return Endpoint(
        model=Model(slug="acme/quill-2"),
        provider=Provider(slug="acme", name="Acme"),
        upstream_model="quill-2",
        dialect=dialect,
        base_url="https://api.acme.example/v1",
        quirks=quirks or Quirks(),
        **fields,
    )
