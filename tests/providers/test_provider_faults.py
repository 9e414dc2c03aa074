"""Faults that the mock plays, over each wire: the status and kind that a client hears of them."""

from __future__ import annotations

from dataclasses import dataclass

import openai
import pytest
from openai import OpenAI

from tests.document import check_stream, validate_error
from tests.providers.cases import Json
from tests.providers.wires import WIRES, Wire

pytestmark = pytest.mark.law


@dataclass(frozen=True)
class FaultCase:
    """A fault that the mock plays, and the status and kind a client hears of it."""

    script: str
    status: int
    kind: str

    @property
    def id(self) -> str:
        return self.script


FAULTS = (
    FaultCase("fault-400", 400, "invalid_request"),
    FaultCase("fault-401", 502, "provider_unavailable"),
    FaultCase("fault-429", 429, "rate_limit_exceeded"),
    FaultCase("fault-500", 502, "provider_unavailable"),
    FaultCase("fault-503", 503, "provider_unavailable"),
    FaultCase("fault-529", 529, "provider_overloaded"),
    FaultCase("fault-drop", 502, "provider_unavailable"),
    FaultCase("fault-malformed", 502, "provider_unavailable"),
    FaultCase("fault-disconnect", 502, "provider_unavailable"),
)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_fault_has_the_status_of_its_kind(
    wire: Wire, fault: FaultCase, stream: bool, client: OpenAI, nonce: str
) -> None:
    model = wire.fresh(2 * FAULTS.index(fault) + stream)
    with pytest.raises(openai.APIStatusError) as raised:
        client.responses.create(model=model, input=f"{fault.script} {nonce}", stream=stream)
    error = raised.value
    told = error.response.json()
    validate_error(error.status_code, told)
    assert (error.status_code, told["error"]["metadata"]["error_type"]) == (fault.status, fault.kind)
    assert error.response.headers.get("retry-after") == ("7" if fault.status == 429 else None)
    (attempt,) = told["error"]["metadata"]["attempts"]
    assert attempt["provider"] == wire.provider
    if fault.script[-3:].isdigit():
        assert attempt["status"] == int(fault.script[-3:])
        assert attempt["message"].startswith("scripted fault")


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.id)
def test_a_stream_cut_in_the_middle_ends_as_failed(wire: Wire, client: OpenAI, nonce: str) -> None:
    sent: Json = {"model": wire.fresh(2 * len(FAULTS)), "input": f"cut {nonce}"}
    events = [event.to_dict() for event in client.responses.create(**sent, stream=True)]
    check_stream(events)
    assert any(event["type"] == "response.output_text.delta" for event in events)
    assert events[-1]["type"] == "response.failed"
