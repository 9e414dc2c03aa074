"""Lists of models that are newer than the shipped one, and a web server that has one of them."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, NamedTuple

from msgspec.structs import replace

from tools.models.merge import written
from trunkline.catalog.rows import EndpointRow, ModelRow, ModelsFile, PriceRow, SourceRow
from trunkline.inventory import shipped_models

SHIPPED = shipped_models()


class Site(NamedTuple):
    """A web server with one file."""

    url: str
    state: dict[str, Any]

    def puts(self, file: ModelsFile | bytes, etag: str = '"1"', status: int = 200) -> None:
        data = file if isinstance(file, bytes) else written(file)
        self.state.update(data=data, etag=etag, status=status)


@contextmanager
def served() -> Iterator[Site]:
    """Serve one file to whoever asks."""
    state: dict[str, Any] = {}

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            is_known = self.headers["if-none-match"] == state["etag"]
            self.send_response(304 if is_known else state["status"])
            self.send_header("etag", state["etag"])
            self.end_headers()
            if not is_known:
                self.wfile.write(state["data"])

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield Site(f"http://127.0.0.1:{server.server_port}/models.json", state)
    server.shutdown()
    thread.join(5)
    server.server_close()


def mock_model(slug: str, provider: str, price: str) -> ModelRow:
    """A model at one provider for so many USD per million tokens, in or out."""
    priced = PriceRow(input=Decimal(price), output=Decimal(price))
    row = EndpointRow(provider=provider, upstream_model="gpt-x", price=priced, context_tokens=128_000)
    return ModelRow(slug=slug, endpoints=(row,))


def newer(**changes: Any) -> ModelsFile:
    """The shipped list a day later, with one model more."""
    extra = replace(SHIPPED.models[0], slug="acme/new")
    sources = (SourceRow(name="models.dev", date="2027-01-01", licence="MIT", url="https://models.dev"),)
    return replace(SHIPPED, **{"models": (*SHIPPED.models, extra), "sources": sources, **changes})
