"""The page at /docs: the contract, readable, with no script and nothing from another host."""

from __future__ import annotations

from base64 import b64encode
from functools import lru_cache
from hashlib import sha256
from html import escape
from typing import Any

from starlette.responses import HTMLResponse, Response

from trunkline.server.contract import contract

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff;
overflow-wrap:anywhere}
h1{font-size:1.6rem}h2{margin-top:2.5rem;border-bottom:1px solid #d0d7de}h3{font:600 1rem ui-monospace,monospace}
code,pre{font:13px/1.45 ui-monospace,monospace;background:#f3f5f7;border-radius:4px}code{padding:.1em .3em}
pre{padding:.8rem;overflow:auto;overflow-wrap:normal}table{border-collapse:collapse;width:100%}
td code.short{white-space:nowrap}td,th{text-align:left;vertical-align:top;
padding:.3rem .6rem;border-bottom:1px solid #e4e8ec;font-size:.9rem}a{color:#0757b0}.note{color:#57606a}
@media(prefers-color-scheme:dark){body{background:#14171a;color:#dde2e7}code,pre{background:#22272c}
td,th,h2{border-color:#333a41}a{color:#7db7ff}.note{color:#9aa4ae}}
"""

REFERENCE_HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
"""What a browser may do with the page: apply its style, and nothing else."""

_PATHS = (
    ("POST", "/api/v1/responses", 'Ask a model. JSON, or server-sent events with <code>"stream": true</code>.'),
    (
        "POST",
        "/api/v1/responses/explain",
        "Who would be asked, in which order and why. The same body; nothing is sent.",
    ),
    ("GET", "/api/v1/responses/{id}/explanation", "The same of one of the last requests, and what became of it."),
    ("GET", "/api/v1/generation?id={id}", "The record of one request: tokens, cost, times, attempts."),
    ("GET", "/api/v1/activity", "What the account's requests came to, day by day; one day with <code>?date=</code>."),
    ("GET", "/api/v1/key", "How this key stands: its limit, and what it spent."),
    ("GET", "/api/v1/credits", "What the account was credited, and what it used."),
    ("GET", "/api/v1/models", "The models that can be called now, with prices and limits."),
    ("GET", "/api/v1/models/{model}", "One of them."),
    ("GET", "/api/v1/models/{author}/{slug}/endpoints", "The endpoints of one model: its providers and their terms."),
    ("GET", "/api/v1/models/count", "How many models can be called now."),
    ("GET", "/api/v1/providers", "The providers that are on, and what they do with prompts."),
    ("GET", "/api/v1/capabilities?model={slug}", "What each endpoint of a model honours."),
    ("GET", "/", "That somebody is there; any path may end in a slash."),
    ("GET", "/health/live", "Whether the process runs; also <code>/health</code> and <code>/healthz</code>."),
    ("GET", "/health/ready", "Whether it can serve."),
    ("GET", "/openapi.json", "The contract as an OpenAPI document."),
)

_EXAMPLE = """curl -N http://127.0.0.1:8080/api/v1/responses \\
  -H "Authorization: Bearer $TRUNKLINE_KEY" -H "Content-Type: application/json" \\
  -d '{"model": "fake/echo", "input": "Hello!", "stream": true}'"""


def answer_reference() -> Response:
    """Answer GET /docs."""
    return HTMLResponse(reference_page(), headers=REFERENCE_HEADERS)


@lru_cache(maxsize=1)
def reference_page() -> str:
    """Render the page; the contract does not change while the process runs."""
    document = contract()
    schemas: dict[str, Any] = document["components"]["schemas"]
    operation = document["paths"]["/responses"]["post"]
    statuses = "".join(
        f"<tr><td><code class=short>{escape(status)}</code></td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    paths = "".join(
        f"<tr><td><code>{method} {path}</code></td><td>{meaning}</td></tr>" for method, path, meaning in _PATHS
    )
    types = "".join(_schema(name, schema) for name, schema in sorted(schemas.items()))
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width,initial-scale=1'>"
        f"<title>Trunkline API</title><style>{_STYLE}</style><main><h1>Trunkline API</h1>"
        "<p>One Responses API in front of every model provider. Send your key as "
        "<code>Authorization: Bearer tl-…</code>.</p>"
        f"<h2>Paths</h2><table>{_header('Path', 'Answer')}{paths}</table>"
        f"<h2>Try it</h2><pre tabindex=0>{escape(_EXAMPLE)}</pre>"
        f"<h2>Statuses of POST /api/v1/responses</h2><table>{_header('Status', 'Meaning')}{statuses}</table>"
        '<p class=note>Every error body is <code>{"error": {"code", "message", "metadata"}, "user_id"}</code>.'
        "</p><h2>Request</h2>"
        f"{_fields(schemas['OpenResponsesRequest'])}<h2>Types</h2>{types}</main></html>"
    )


def _schema(name: str, schema: dict[str, Any]) -> str:
    body = _fields(schema) if "properties" in schema else f"<p>{_type(schema)}</p>"
    return f"<h3 id='{escape(name)}'>{escape(name)}</h3>{body}"


def _fields(schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code>{' *' if name in required else ''}</td><td>{_type(field)}</td>"
        f"<td>{escape(str(field.get('description', '')))}</td></tr>"
        for name, field in schema.get("properties", {}).items()
    )
    return f"<table>{_header('Field', 'Type', 'Meaning')}{rows}</table>"


def _header(*names: str) -> str:
    return "<tr>" + "".join(f"<th scope=col>{name}</th>" for name in names) + "</tr>"


def _type(schema: dict[str, Any]) -> str:
    """Say a schema in a few words, with links to the named ones."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f"<a href='#{name}'>{name}</a>"
    for word in ("anyOf", "oneOf", "allOf"):
        if word in schema:
            parts = [said for part in schema[word] if (said := _type(part))]
            return (" and " if word == "allOf" else " or ").join(dict.fromkeys(parts))
    if "enum" in schema:
        return " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if "const" in schema:
        return f"<code>{escape(str(schema['const']).lower())}</code>"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if "properties" in schema:
        return "{" + ", ".join(f"<code>{escape(name)}</code>" for name in schema["properties"]) + "}"
    kind = schema.get("type", "")
    return " or ".join(kind) if isinstance(kind, list) else escape(str(kind))
