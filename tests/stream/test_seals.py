"""The proof of a thought keeps its bytes and finds its way home."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET, Struct
from msgspec.structs import replace

from trunkline.adapters.thinking import thought_text
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.protocol.items import ReasoningItem, ReasoningText
from trunkline.stream.deltas import ReasoningSeal
from trunkline.stream.seals import (
    Seal,
    format_named,
    has_mark,
    holding,
    is_from,
    is_unsigned,
    origin_of,
    read_proof,
    read_redacted,
    read_thinking,
    seal,
    sealed,
    sign,
    thought_item,
    unseal,
)

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
    after_text=st.booleans(),
    calls_before=st.integers(0, 130),
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
    assert unseal(forged('["a:m","rs_1","",false,"",false,0,"more"]')) == Seal(
        endpoint_id="a:m", blob="blob", item_id="rs_1"
    )


@pytest.mark.parametrize("form", ["", "anthropic-claude-v1", "google-gemini-v1"])
def test_a_signature_is_bare_where_the_format_names_its_maker(form: str) -> None:
    item = sealed(ReasoningItem(), Seal(endpoint_id="a:m", signature="AAAA", form=form))
    assert (item.signature == "AAAA") is bool(form)
    assert unseal(item.signature or "") == (None if form else Seal(endpoint_id="a:m", signature="AAAA"))


# One proof in one place


def replayed(origin: Seal, *, is_data: bool) -> Seal | None:
    """What is read of a proof that a client kept as it came, with its format."""
    return read_proof(sign(origin, is_data=is_data), form=origin.form, is_data=is_data)


@given(SEALS, st.booleans())
def test_a_proof_in_its_place_comes_back_byte_for_byte(origin: Seal, is_data: bool) -> None:
    read = replayed(origin, is_data=is_data)
    is_bare = not has_mark(sign(origin, is_data=is_data))
    assert read == (Seal(**unissued(origin)) if is_bare else origin)


def unissued(origin: Seal) -> dict[str, Any]:
    """What a bare proof says: neither who gave it, nor what they called the thought."""
    return {name: getattr(origin, name) for name in ("blob", "signature", "form")} | {"endpoint_id": ""}


@given(SEALS, text, st.booleans())
def test_a_thought_in_a_messages_block_is_that_of_the_same_proof_in_a_chat(
    origin: Seal, thought: str, is_hidden: bool
) -> None:
    proof = sign(origin, is_data=is_hidden)
    block = read_redacted(proof) if is_hidden else read_thinking(thought, proof)
    if is_hidden:
        detail = thought_item(data=proof, form=origin.form)
    elif block.summary:
        detail = thought_item(signature=proof, summary=(thought,), form=origin.form)
    else:
        detail = thought_item(thought, signature=proof, form=origin.form)
    assert detail == block


@given(text.filter(bool), st.sampled_from(["", "anthropic-claude-v1", "google-gemini-v1", "openai-responses-v1"]))
def test_a_thought_without_a_proof_is_text_and_its_format(thought: str, form: str) -> None:
    mark = sign(Seal(endpoint_id="a:m", form=form))
    item = read_thinking(thought, mark)
    assert is_unsigned(mark)
    assert not item.encrypted_content
    assert not item.signature
    assert item.format == (form or UNSET)
    assert thought_text([item]) == thought


@given(text, text, text, text)
def test_no_text_makes_reading_a_proof_raise(first: str, second: str, thought: str, form: str) -> None:
    for proof in (first, f"{first}.tl1.{second}", f"tl1.{first}"):
        read_proof(proof, form=form)
        read_proof(proof, form=form, is_data=True)
        read_thinking(thought, proof)
        read_redacted(proof)
        thought_item(thought, signature=proof, data=second, summary=(first,), form=form)


class Signed(Struct, frozen=True):
    id: str
    origin: Seal
    is_data: bool
    stands: str | None


CLAUDES = Seal(endpoint_id="a:m", signature="AAAA", form="anthropic-claude-v1")
HIDDEN = Seal(endpoint_id="a:m", blob="AAAA", form="anthropic-claude-v1")

SIGNED = [
    Signed("a signature of Claude's", CLAUDES, False, "AAAA"),
    Signed("a hidden thought of Claude's", HIDDEN, True, "AAAA"),
    Signed("a signature where hidden thoughts stand", CLAUDES, True, None),
    Signed("a hidden thought where signatures stand", HIDDEN, False, None),
    Signed("a signature of Claude's after a text", replace(CLAUDES, after_text=True), False, None),
    Signed("a signature of Claude's after a call", replace(CLAUDES, calls_before=1), False, None),
    Signed("a signature of Claude's that a relay gave", replace(CLAUDES, is_bound=True), False, None),
    Signed("a signature of Claude's without its text", holding(CLAUDES, "Hm."), False, None),
    Signed("a signature that looks like our mark", replace(CLAUDES, signature="tl1."), False, None),
    Signed("a signature that looks like a tag", replace(CLAUDES, signature="A.tl1.A"), False, None),
    Signed("a signature of Claude's with a blob", replace(CLAUDES, blob="BBBB"), False, None),
    Signed("a signature of Gemini's", replace(CLAUDES, form="google-gemini-v1"), False, None),
    Signed("a signature of nobody knows whom", replace(CLAUDES, form=""), False, None),
    Signed("a blob of OpenAI's", replace(HIDDEN, form="openai-responses-v1"), True, None),
    Signed("no proof", replace(CLAUDES, signature=""), False, "tl1.anthropic-claude-v1"),
    Signed("no proof of nobody", Seal(endpoint_id=""), False, "tl1."),
]


@pytest.mark.parametrize("case", SIGNED, ids=lambda case: case.id)
def test_a_proof_is_bare_where_it_can_be_nothing_else(case: Signed) -> None:
    stands = sign(case.origin, is_data=case.is_data)
    assert stands == case.stands if case.stands is not None else has_mark(stands)


def test_a_proof_that_clients_keep_in_order_is_bare_after_a_text() -> None:
    placed = replace(CLAUDES, after_text=True, calls_before=2)
    assert sign(placed, is_in_order=True) == "AAAA"
    assert unseal(sign(replace(placed, form="google-gemini-v1"), is_in_order=True)) == replace(
        placed, form="google-gemini-v1"
    )


def test_a_tag_goes_before_what_a_client_says_of_the_format() -> None:
    origin = Seal(endpoint_id="a:m", blob="AAAA", item_id="rs_1", form="openai-responses-v1")
    item = thought_item(data=sign(origin, is_data=True), form="anthropic-claude-v1")
    assert item.format == "openai-responses-v1"
    assert unseal(item.encrypted_content or "") == origin


def test_a_tag_that_did_not_arrive_whole_stays_so() -> None:
    """It has to be named as dropped, and not to be taken for another's."""
    cut = sign(Seal(endpoint_id="a:m", signature="AAAA"))[:-1]
    assert read_proof(cut) is None
    assert read_thinking("Hm.", cut).encrypted_content == cut


def test_the_tag_of_a_thought_that_came_first_is_as_it_was() -> None:
    tagged = seal(Seal(endpoint_id="a:m", blob="blob", item_id="rs_1"))
    assert tagged == forged('["a:m","rs_1","",false,""]')


def test_proofs_of_one_thought_are_heard_together() -> None:
    first = ReasoningSeal(0, "blob", item_id="rs_1", endpoint_id="a:m")
    both = origin_of(ReasoningSeal(0, signature="sign", endpoint_id="a:m"), origin_of(first))
    assert both == Seal(endpoint_id="a:m", blob="blob", signature="sign", item_id="rs_1")


# Who takes it back


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


def test_formats_by_name() -> None:
    assert format_named("google-gemini-v1") == "google-gemini-v1"
    assert [format_named(name) for name in ("other", None, 3)] == ["unknown"] * 3
