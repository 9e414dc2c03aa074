"""How much to think, what goes back, and thought in tags."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from trunkline.adapters.thinking import (
    Proof,
    budget,
    effort,
    lost_proofs,
    nearest_effort,
    replayable,
    thought_text,
    told_summary,
)
from trunkline.catalog.entries import Dialect, Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks
from trunkline.protocol.items import ReasoningItem, ReasoningText, SummaryText
from trunkline.protocol.request import Effort, ReasoningConfig, Request
from trunkline.stream.seals import Seal, read_thinking, seal


@dataclass(frozen=True)
class Case:
    id: str
    reasoning: ReasoningConfig | None
    effort: Effort | None
    budget: int | None


CASES = [
    Case("nothing said", None, None, None),
    Case("an empty object says nothing", ReasoningConfig(), None, None),
    Case("a summary alone says nothing about how much", ReasoningConfig(summary="auto"), None, None),
    Case("enabled alone is medium", ReasoningConfig(enabled=True), "medium", 5_000),
    Case("disabled is off", ReasoningConfig(enabled=False), "none", 0),
    Case("none is off", ReasoningConfig(effort="none"), "none", 0),
    Case("minimal is a tenth", ReasoningConfig(effort="minimal"), "minimal", 1_000),
    Case("xhigh is nearly all", ReasoningConfig(effort="xhigh"), "xhigh", 9_500),
    Case("a budget wins and is kept", ReasoningConfig(max_tokens=2_500), "low", 2_500),
    Case("a large budget is a high effort, and leaves room", ReasoningConfig(max_tokens=50_000), "xhigh", 9_500),
    Case("a budget of nothing is off", ReasoningConfig(max_tokens=0), "none", 0),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_effort_and_budget(case: Case) -> None:
    assert (effort(case.reasoning, 10_000), budget(case.reasoning, 10_000)) == (case.effort, case.budget)


def test_budgets_are_clamped_unless_off() -> None:
    low = ReasoningConfig(effort="low")
    assert budget(low, 2_000, least=1_024) == 1_024
    assert budget(ReasoningConfig(max_tokens=2_000), 2_000) == 1_900
    assert budget(low, 1_000_000, most=32_000) == 32_000
    assert budget(ReasoningConfig(effort="none"), 2_000, least=1_024) == 0


@pytest.mark.parametrize(
    ("wanted", "allowed", "nearest"),
    [
        ("high", (), "high"),
        ("xhigh", ("low", "medium", "high"), "high"),
        ("minimal", ("low", "high"), "low"),
        ("medium", ("none", "low", "high"), "low"),
        ("minimal", ("none", "medium"), "medium"),
        ("none", ("low", "high"), None),
        ("high", ("none", "default"), "default"),
        ("xhigh", ("low", "high", "max"), "high"),
    ],
)
def test_the_nearest_lower_effort_never_turns_thinking_off(
    wanted: Effort, allowed: tuple[str, ...], nearest: str | None
) -> None:
    assert nearest_effort(wanted, allowed) == nearest


def test_what_the_vendor_means_by_an_effort_goes_before_the_nearest() -> None:
    meant = {"medium": "high", "low": "max"}
    assert nearest_effort("medium", ("low", "high"), meant) == "high"
    assert nearest_effort("low", ("low", "high"), meant) == "low"
    assert nearest_effort("minimal", ("low", "high"), meant) == "low"


def test_thought_is_raw_text_else_summary() -> None:
    raw = ReasoningItem(content=(ReasoningText("a"), ReasoningText("b")), summary=(SummaryText("short"),))
    short = ReasoningItem(summary=(SummaryText("c"), SummaryText("d")))
    assert thought_text([raw, ReasoningItem(), short]) == "ab\n\nc\n\nd"


def endpoint(dialect: Dialect, form: str) -> Endpoint:
    return Endpoint(
        model=Model(slug="a/m"),
        provider=Provider(slug=f"at-{dialect}", name="P"),
        upstream_model="m",
        dialect=dialect,
        base_url="https://example.test/v1",
        quirks=Quirks(reasoning_format=form),
    )


CLAUDE = endpoint("messages", "anthropic-claude-v1")
OPENAI = endpoint("responses", "openai-responses-v1")
PLAIN = endpoint("chat", "")
GEMINI = endpoint("gemini", "")

MARKS = [
    ("to nobody whose own format it is not", "tl1.", CLAUDE, None),
    ("to whoever replays the text of nobody", "tl1.", PLAIN, Proof("Hm.")),
    ("not to another maker's", "tl1.google-gemini-v1", PLAIN, None),
    ("to its maker", "tl1.google-gemini-v1", GEMINI, Proof("Hm.", form="google-gemini-v1")),
    ("not to a maker where it names a format that nobody knows", "tl1.anything-v9", OPENAI, None),
]


@pytest.mark.parametrize("place", ["signature", "encrypted_content"])
@pytest.mark.parametrize(("mark", "target", "goes"), [each[1:] for each in MARKS], ids=[each[0] for each in MARKS])
def test_a_thought_with_the_mark_of_no_proof_goes(place: str, mark: str, target: Endpoint, goes: Proof | None) -> None:
    """It goes as plain text, wherever a client put the mark and whatever it says of the format."""
    item = ReasoningItem(content=(ReasoningText("Hm."),), format="anthropic-claude-v1")
    assert replayable(replace(item, **{place: mark}), target) == goes
    assert lost_proofs(Request(input=(replace(item, **{place: mark}),)), target) == ()


def test_the_text_of_who_tells_summaries_is_one_wherever_it_stands() -> None:
    blob = seal(Seal(endpoint_id=OPENAI.id, blob="AAAA", form="openai-responses-v1"))
    for item in (read_thinking("Hm.", blob), ReasoningItem(content=(ReasoningText("Hm."),), signature=blob)):
        proof = replayable(item, OPENAI)
        assert proof is not None
        assert told_summary(item, proof) == (SummaryText("Hm."),)
