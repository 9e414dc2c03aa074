"""An encrypted thought keeps its bytes and finds its way home."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.stream.seals import Seal, is_from, seal, unseal

text = st.text(st.characters(exclude_categories=["Cs"]))


def endpoint(provider: str, *, tag: str = "", model: str = "openai/gpt-5") -> Endpoint:
    return Endpoint(
        model=Model(slug=model),
        provider=Provider(slug=provider, name=provider),
        upstream_model="m",
        dialect="responses",
        base_url="https://example.test/v1",
        tag=tag,
    )


@given(blob=text.filter(bool), endpoint_id=text, item_id=text)
def test_what_is_sealed_comes_back_byte_for_byte(blob: str, endpoint_id: str, item_id: str) -> None:
    assert unseal(seal(blob, endpoint_id, item_id)) == Seal(blob, endpoint_id, item_id)


@given(blob=text.filter(bool))
def test_a_seal_around_a_seal_loses_neither(blob: str) -> None:
    inner = seal(blob, "a:x/y", "rs_1")
    outer = unseal(seal(inner, "b:x/y", "rs_2"))
    assert outer is not None
    assert unseal(outer.blob) == Seal(blob, "a:x/y", "rs_1")


@given(text)
def test_no_text_makes_unsealing_raise(anything: str) -> None:
    unseal(anything)
    unseal(f"blob.tl1.{anything}")


@pytest.mark.parametrize(
    "foreign", ["", "gAAAAB", ".tl1.", "blob.tl1.", "blob.tl1.!!!", "blob.tl1.WzFd", ".tl1.WyJhIiwiYiJd"]
)
def test_a_blob_without_our_tag_has_no_issuer(foreign: str) -> None:
    assert unseal(foreign) is None


class Case(Struct, frozen=True):
    id: str
    issuer: Endpoint
    target: Endpoint
    goes_back: bool


CASES = [
    Case("to the endpoint that issued it", endpoint("openai"), endpoint("openai"), True),
    Case("to another model of the provider", endpoint("openai"), endpoint("openai", model="openai/o3"), True),
    Case("to another variant of the provider", endpoint("openai", tag="openai/eu"), endpoint("openai"), True),
    Case("to another model variant", endpoint("openai", model="openai/gpt-5:free"), endpoint("openai"), True),
    Case("not to another provider of the model", endpoint("openai"), endpoint("azure"), False),
    Case("not to a provider whose name begins alike", endpoint("openai"), endpoint("openai-eu"), False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_seal_goes_back(case: Case) -> None:
    origin = unseal(seal("gAAAAB", case.issuer.id, "rs_1"))
    assert origin is not None
    assert is_from(origin, case.target.id) is case.goes_back
