"""What every answer of the gateway must be, asked of the document: an error, a whole response, a stream."""

from __future__ import annotations

from typing import Any

from tests.document import check_stream, validate_error, validate_response
from tests.gateway.server import Reply

IN_ORDER: dict[str, Any] = {"provider": {"order": ["mock-a", "mock-b"]}}
"""Asks mock-a first, then mock-b."""


def ask(model: str, text: str = "Say hello.", **more: Any) -> dict[str, Any]:
    """A request body."""
    return {"model": model, "input": text, **more}


def error_of(reply: Reply, status: int) -> dict[str, Any]:
    """The error of an answer that must be one, with this status."""
    assert reply.status == status, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "application/json"
    validate_error(status, reply.json)
    error: dict[str, Any] = reply.json["error"]
    return error


def response_of(reply: Reply, status: str = "completed") -> dict[str, Any]:
    """The response of a JSON answer."""
    assert reply.status == 200, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "application/json"
    response: dict[str, Any] = reply.json
    validate_response(response)
    assert response["status"] == status
    return response


def events_of(reply: Reply, ending: str = "completed") -> list[dict[str, Any]]:
    """The events of a stream, which must be a whole one that ends so."""
    assert reply.status == 200, (reply.status, reply.body[:500])
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = reply.events
    check_stream(events)
    assert events[-1]["type"] == f"response.{ending}", events[-1]
    return events


def text_of(events: list[dict[str, Any]]) -> str:
    """The text that the deltas of a stream tell."""
    return "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
