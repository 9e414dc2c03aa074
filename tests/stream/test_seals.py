"""The proof of a thought keeps its bytes and finds its way home."""

from __future__ import annotations

from base64 import b64encode
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.protocol.items import ReasoningItem, ReasoningText
from trunkline.stream.seals import Seal, is_from, seal, sealed, unseal

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


def packed(text: str) -> str:
    return b64encode(text.encode()).decode()


SEALS = st.builds(
    Seal,
    endpoint_id=text,
    blob=text,
    signature=text,
    item_id=text,
    form=st.sampled_from(["", "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1"]),
    packed=st.none() | text.map(packed),
).filter(lambda origin: origin.blob or origin.signature)


@given(SEALS)
def test_what_is_sealed_comes_back_byte_for_byte(origin: Seal) -> None:
    assert unseal(seal(origin)) == origin


@given(text)
def test_a_signed_text_comes_back_byte_for_byte(thought: str) -> None:
    origin = Seal(endpoint_id="a:m", signature="AAAA", form="anthropic-claude-v1")
    item = sealed(ReasoningItem(content=(ReasoningText(thought),)), origin)
    read = unseal(item.encrypted_content or "")
    assert read is not None
    assert (read.text, read.signature) == (thought, "AAAA")


@pytest.mark.parametrize("unreadable", ["A", "%%%%A", "/w=="], ids=["no base64", "nor that", "no UTF-8"])
def test_a_forged_text_is_none(unreadable: str) -> None:
    assert Seal(endpoint_id="a:m", signature="AAAA", packed=unreadable).text is None


@given(SEALS, SEALS)
def test_a_seal_around_a_seal_loses_neither(inner: Seal, outer: Seal) -> None:
    around = unseal(seal(replace(outer, blob=seal(inner))))
    assert around is not None
    assert unseal(around.blob) == inner


@given(text)
def test_no_text_makes_unsealing_raise(anything: str) -> None:
    unseal(anything)
    unseal(f"blob.tl1.{anything}")
    unseal(f"blob.tl1.{anything}.00000000")


@pytest.mark.parametrize(
    "foreign",
    [
        "",
        "gAAAAB",
        ".tl1.",
        "blob.tl1.",
        "blob.tl1.!!!",
        "blob.tl1.WzFd",
        ".tl1.WyJhIiwiYiJd",
        "blob.tl1.WyJhIiwiYiJd",
        "blob.tl1.WyJhIiwiYiJd.",
        "blob.tl1.WyJhIiwiYiJd.00000000",
        "blob.tl1.WyJhIiwiYiJd.SG0u.00000000",
    ],
)
def test_a_proof_without_a_whole_tag_of_ours_has_no_issuer(foreign: str) -> None:
    assert unseal(foreign) is None


@given(SEALS.filter(lambda origin: ".tl1." not in origin.blob + origin.signature), st.data())
def test_a_proof_that_lost_an_end_is_nobodys(origin: Seal, data: st.DataObject) -> None:
    whole = seal(origin)
    start, end = sorted(data.draw(st.lists(st.integers(0, len(whole)), min_size=2, max_size=2)))
    assert unseal(whole[start:end]) == (origin if whole[start:end] == whole else None)


def test_proofs_of_two_thoughts_that_a_client_joined_are_nobodys() -> None:
    """LangChain adds the members of reasoning items together where its messages have the oldest of their forms."""
    first, second = (Seal(endpoint_id="a:m", signature=sign, packed=packed("Hm.")) for sign in ("AAAA", "BBBB"))
    assert unseal(seal(first) + seal(second)) is None


def forged(told: str) -> str:
    """A proof whose tag says this, and whose checksum is right."""
    tag = packed(told)
    return f"blob.tl1.{tag}.{crc32(f'blob{tag}'.encode()):08x}"


@pytest.mark.parametrize("told", ["", "[1]", '["a:m"]', "{}", "[" * 100_000, '["a:m",null]', '["a:m","rs_1","",1]'])
def test_a_forged_tag_has_no_issuer(told: str) -> None:
    assert unseal(forged(told)) is None


def test_a_tag_of_a_later_version_is_read() -> None:
    assert unseal(forged('["a:m","rs_1","",false,"","more"]')) == Seal(endpoint_id="a:m", blob="blob", item_id="rs_1")


@pytest.mark.parametrize("form", ["", "anthropic-claude-v1", "google-gemini-v1"])
def test_a_signature_is_bare_where_the_format_names_its_maker(form: str) -> None:
    item = sealed(ReasoningItem(), Seal(endpoint_id="a:m", signature="AAAA", form=form))
    assert (item.signature == "AAAA") is bool(form)
    assert unseal(item.signature or "") == (None if form else Seal(endpoint_id="a:m", signature="AAAA"))


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
    assert is_from(Seal(endpoint_id=case.issuer.id, blob="gAAAAB"), case.target.id) is case.goes_back
