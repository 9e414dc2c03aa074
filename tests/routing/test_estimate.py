"""What a request may cost at the most: a table of bounds, and the laws that make a hold safe.

No usage within the bounds costs more than the worst case, at any shipped price; and what a smaller amount buys costs no
more than that amount, while one token more would.
"""

from __future__ import annotations

import base64
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.catalog.loading import PROVIDERS, known
from tests.routing.catalogs import ask, endpoint
from trunkline.billing import cost
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.prices import Price, PriceTier
from trunkline.protocol.items import ImageGenerationCall, InputAudio, InputFile, InputImage, InputText, InputVideo
from trunkline.protocol.items import Message as Said
from trunkline.protocol.marks import CacheMark
from trunkline.protocol.opaque import ServerItem
from trunkline.protocol.request import ReasoningConfig, Request
from trunkline.protocol.tools import SearchTool
from trunkline.routing.estimate import Estimate, estimate
from trunkline.routing.plan import Plan
from trunkline.settings.sections import BillingSettings, Settings
from trunkline.stream.deltas import Usage

BOUNDS = BillingSettings()
NANO_PER_MICRO = 1_000
"""Of USD: a price of one dollar for a million tokens is so much for each."""


def at(*endpoints: Endpoint, max_attempts: int = 3, own: tuple[bool, ...] = ()) -> Plan:
    return Plan(attempts=endpoints, is_byok=own, max_attempts=max_attempts)


def estimated(request: Request, *endpoints: Endpoint, body_bytes: int = 1_000) -> Estimate:
    return estimate(at(*endpoints), request, body_bytes, BOUNDS)


def said(*parts: object) -> Request:
    return ask(input=(Said(role="user", content=parts),))  # type: ignore[arg-type]


def packed(size: int, label: str = "") -> str:
    return label + base64.b64encode(b"%PDF" + bytes(size - 4)).decode()


@dataclass(frozen=True)
class Case:
    id: str
    request: Request
    body_bytes: int
    tokens: int


PICTURE = InputImage(image_url=packed(3_000, "data:image/png;base64,"))
SCREEN = ServerItem(
    {"type": "computer_call_output", "output": {"type": "computer_screenshot", "image_url": PICTURE.image_url}}
)
DOCUMENT = InputFile(filename="a.pdf", file_data=packed(8_000, "data:application/pdf;base64,"))
NOTES = InputFile(filename="a.txt", file_data="data:text/plain;base64," + base64.b64encode(b"word " * 600).decode())
SOUND = InputAudio(data=packed(40_000), format="mp3")
FILM = InputVideo(video_url=packed(120_000, "data:video/mp4;base64,"))

INPUTS = [
    Case("text is a token for every two bytes of the body", ask(), 1_001, 501),
    Case("what is known to be text alone is not looked at", replace(ask(), is_text_alone=True), 1_000, 500),
    Case("a picture in the body is as large as any", said(PICTURE), 1_000 + len(PICTURE.image_url), 500 + 2_000),
    Case("a picture behind a link", said(InputImage(image_url="https://a.example/b.png")), 1_000, 500 + 2_000),
    Case(
        "a picture that was made before",
        ask(input=(ImageGenerationCall(id="ig_1", result=PICTURE.image_url, status="completed"),)),
        1_000 + len(PICTURE.image_url),
        500 + 2_000,
    ),
    Case(
        "a picture of a screen, in an item that only OpenAI's servers know",
        ask(input=(SCREEN,), has_extensions=True),
        1_000 + len(PICTURE.image_url),
        500 + 2_000,
    ),
    Case("a document is a token for every eight bytes", said(DOCUMENT), 1_000 + len(DOCUMENT.file_data or ""), 1_503),
    Case("a file of text is text", said(NOTES), 1_000 + len(NOTES.file_data or ""), 500 + 1_509),
    Case("a file behind a link", said(InputFile(file_url="https://a.example/b.pdf")), 1_000, 500 + 50_000),
    Case("a film behind a link", said(InputVideo(video_url="https://a.example/b.mp4")), 1_000, 500 + 50_000),
    Case("sound by the second", said(SOUND), 1_000 + len(SOUND.data), 500 + 11 * 32),
    Case("a film by the second", said(FILM), 1_000 + len(FILM.video_url), 500 + 3 * 300),
]


@pytest.mark.parametrize("case", INPUTS, ids=lambda case: case.id)
def test_input(case: Case) -> None:
    assert estimated(case.request, endpoint(context=None), body_bytes=case.body_bytes).input_tokens == case.tokens


def test_an_input_is_never_longer_than_the_context() -> None:
    link = said(InputFile(file_url="https://a.example/b.pdf"))
    assert estimated(link, endpoint(context=8_000)).input_tokens == 8_000


THINKING = ask(reasoning=ReasoningConfig(effort="low"))
OFF = ask(reasoning=ReasoningConfig(effort="none"))
SEARCHING = ask(tools=(SearchTool(type="web_search"),))
THINKER = replace(endpoint(context=None, max_output=50_000), reasoning_efforts=("low", "high"))
BY_FEE = replace(endpoint(usd="0", request_fee="0.01", context=None, max_output=1_000))
SEARCHER = replace(
    endpoint(usd="0", max_output=1_000), price=Price(input=Decimal(0), output=Decimal(0), search=Decimal("0.01"))
)
DRAWER = replace(
    endpoint(usd="0", max_output=1_000, makes=("text", "image")),
    price=Price(input=Decimal(0), output=Decimal(0), image_output=Decimal("0.04")),
)
BY_THOUGHT = replace(
    endpoint(context=None, max_output=100),
    price=Price(input=Decimal(0), output=Decimal("1e-6"), reasoning=Decimal("4e-6")),
)
WRITING = replace(
    endpoint(context=None, max_output=1),
    price=Price(input=Decimal("1e-6"), cache_write=Decimal("2e-6"), cache_read=Decimal("1e-7"), output=Decimal(0)),
)
HOURLY = replace(
    endpoint(context=None, max_output=1),
    dialect="messages",
    price=Price(input=Decimal("1e-6"), cache_write=Decimal("2e-6"), cache_write_1h=Decimal("4e-6"), output=Decimal(0)),
)
KEPT = replace(said(InputText("Hi", CacheMark())), has_marks=True)
KEPT_LONG = replace(said(InputText("Hi", CacheMark("1h"))), has_marks=True)
TIERED = replace(
    endpoint(context=None, max_output=1),
    price=Price(
        input=Decimal("1e-6"),
        output=Decimal(0),
        tiers=(
            PriceTier(above_input_tokens=400, input=Decimal("3e-6"), output=Decimal(0)),
            PriceTier(above_input_tokens=500, input=Decimal("9e-6"), output=Decimal(0)),
        ),
    ),
)


TOKEN_DRAWER = replace(
    DRAWER,
    price=Price(input=Decimal(0), output=Decimal("1e-6"), image_token=Decimal("30e-6"), image_output=Decimal("0.04")),
    max_output_tokens=8_000,
)
BY_ANSWER = replace(
    endpoint(context=None, max_output=100),
    price=Price(input=Decimal(0), output=Decimal("1e-6"), reasoning=Decimal("4e-6"), reasoning_per="answer"),
)
SEARCHER_ONCE = replace(
    SEARCHER,
    price=Price(input=Decimal(0), output=Decimal(0), search=Decimal("0.01"), search_per="request"),
)
SERVED = replace(
    endpoint(context=None, max_output=1_000),
    price=Price(
        input=Decimal("1e-6"),
        output=Decimal("1e-6"),
        service_tiers=(("flex", Decimal("0.5")), ("priority", Decimal(2))),
    ),
)


@dataclass(frozen=True)
class Amount:
    """USD millionths: what is wanted of an input of 500 tokens, and the least that is taken."""

    id: str
    request: Request
    endpoints: tuple[Endpoint, ...]
    wanted: int
    floor: int


ONE = endpoint(context=None, max_output=10_000)
TWO = endpoint("beta", usd="2", context=None, max_output=4_000)

WISHING = ask(max_output_tokens=700, limit_is_wish=True)

AMOUNTS = [
    Amount("the whole answer, or the shortest of use", ask(), (ONE,), 10_500, 756),
    Amount("the client's limit is all or nothing", ask(max_output_tokens=700), (ONE,), 1_200, 1_200),
    Amount("above the endpoint's limit there is nothing", ask(max_output_tokens=20_000), (ONE,), 10_500, 10_500),
    Amount("a wish that pays for less, too", WISHING, (ONE,), 1_200, 756),
    Amount("a wish above the endpoint's limit", replace(WISHING, max_output_tokens=64_000), (ONE,), 10_500, 756),
    Amount("an answer shorter than the shortest of use", ask(), (endpoint(context=None, max_output=100),), 600, 600),
    Amount("an endpoint without limits", ask(), (endpoint(context=None),), 33_268, 756),
    Amount("the context is the limit where no other is known", ask(), (endpoint(context=2_000),), 2_500, 756),
    Amount("the dearest of several", ask(), (ONE, TWO), 10_500, 1_512),
    Amount("thought that is asked for", THINKING, (ONE,), 10_500, 2_548),
    Amount("thought that is turned off", OFF, (ONE,), 10_500, 756),
    Amount("a model that always thinks", ask(), (THINKER,), 50_500, 2_548),
    Amount("a fee for each request", ask(), (BY_FEE,), 10_000, 10_000),
    Amount("searches, where they may be made", SEARCHING, (SEARCHER,), 50_000, 50_000),
    Amount("no search without the tool", ask(), (SEARCHER,), 0, 0),
    Amount("as many searches as the client allows", replace(SEARCHING, max_tool_calls=2), (SEARCHER,), 20_000, 20_000),
    Amount("a picture", ask(), (DRAWER,), 40_000, 40_000),
    Amount("several pictures", ask(image_config={"n": 3}), (DRAWER,), 120_000, 120_000),
    Amount("no picture where text alone is asked for", ask(modalities=("text",)), (DRAWER,), 0, 0),
    Amount("the dearer of thought and answer", ask(), (BY_THOUGHT,), 400, 400),
    Amount("the dearer of read and written to a cache, and no discount", ask(), (WRITING,), 1_000, 1_000),
    Amount("an hour in a cache, where one is asked for", KEPT_LONG, (HOURLY,), 2_000, 2_000),
    Amount("no hour where nobody is told of it", KEPT_LONG, (replace(HOURLY, prompt_caching="off"),), 1_000, 1_000),
    Amount("no hour where a mark asks for none", KEPT, (HOURLY,), 1_000, 1_000),
    Amount("the highest tier that the input reaches", ask(), (TIERED,), 1_500, 1_500),
    Amount("a picture, by its tokens", ask(), (TOKEN_DRAWER,), 240_000, 195_000),
    Amount("one search, where several cost no more", SEARCHING, (SEARCHER_ONCE,), 10_000, 10_000),
    Amount("an answer that costs what its thought does", ask(), (BY_ANSWER,), 400, 400),
    Amount("a dearer service tier", ask(service_tier="priority"), (SERVED,), 3_000, 1_512),
    Amount("a cheaper service tier may not be had", ask(service_tier="flex"), (SERVED,), 1_500, 756),
    Amount("no price", ask(), (endpoint(usd=None),), 500_000, 500_000),
    Amount("one of several has no price", ask(), (ONE, endpoint("beta", usd=None)), 500_000, 500_000),
]


@pytest.mark.parametrize("case", AMOUNTS, ids=lambda case: case.id)
def test_amounts(case: Amount) -> None:
    found = estimated(case.request, *case.endpoints)
    assert (found.wanted_nano, found.floor_nano) == (case.wanted * NANO_PER_MICRO, case.floor * NANO_PER_MICRO)


def test_endpoints_count_that_may_be_asked_and_that_the_house_pays() -> None:
    dear = endpoint("gamma", usd="100", context=None, max_output=1_000)
    plan = at(ONE, TWO, dear, max_attempts=2)
    assert estimate(plan, ask(), 1_000, BOUNDS).wanted_nano == 10_500 * NANO_PER_MICRO
    plan = at(ONE, dear, own=(False, True))
    assert estimate(plan, ask(), 1_000, BOUNDS).wanted_nano == 10_500 * NANO_PER_MICRO
    assert estimate(at(dear, own=(True,)), ask(), 1_000, BOUNDS).is_empty


def test_a_fee_for_own_keys_is_a_share_of_the_price() -> None:
    """Two nano-dollars more, for what is rounded."""
    bounds = replace(BOUNDS, byok_fee=0.05)
    found = estimate(at(ONE, own=(True,)), ask(), 1_000, bounds)
    assert (found.wanted_nano, found.floor_nano) == (525_000 + 2, 37_800 + 2)
    assert found.tokens_for(37_802) == 256
    found = estimate(at(endpoint(usd=None), own=(True,)), ask(), 1_000, bounds)
    assert found.wanted_nano == 25_000_000


def test_MO_25_what_own_keys_pay_is_held_where_it_counts_and_no_account_is_charged_for_it() -> None:
    own, both = at(ONE, own=(True,)), at(ONE, TWO, own=(True, False))
    found = estimate(own, ask(), 1_000, BOUNDS, counts_own=True)
    assert (found.wanted_nano, found.is_empty, found.is_charged) == (10_500 * NANO_PER_MICRO, False, False)
    found = estimate(both, ask(), 1_000, BOUNDS, counts_own=True)
    assert (found.wanted_nano, found.is_charged) == (10_500 * NANO_PER_MICRO, True)
    found = estimate(own, ask(), 1_000, replace(BOUNDS, byok_fee=0.05), counts_own=True)
    assert (found.wanted_nano, found.is_charged) == (11_025 * NANO_PER_MICRO + 2, True)
    assert estimate(own, ask(), 1_000, BOUNDS).is_empty


def test_of_a_model_that_stands_behind_the_attempts_the_first_endpoint_counts() -> None:
    """One attempt is kept for each model that was not asked yet."""
    other = endpoint("gamma", "m/two", usd="3", context=None, max_output=10_000)
    more = endpoint("delta", "m/two", usd="9", context=None, max_output=10_000)
    plan = at(ONE, TWO, other, more, max_attempts=2)
    assert estimate(plan, ask(), 1_000, BOUNDS).wanted_nano == 31_500 * NANO_PER_MICRO
    assert estimate(replace(plan, partition="none"), ask(), 1_000, BOUNDS).wanted_nano == 10_500 * NANO_PER_MICRO
    third = endpoint("gamma", "m/three", usd="50", context=None, max_output=10_000)
    plan = at(ONE, TWO, other, third, max_attempts=2)
    assert estimate(plan, ask(), 1_000, BOUNDS).wanted_nano == 31_500 * NANO_PER_MICRO


class TestWhatAnAmountBuys:
    def test_at_the_dearest(self) -> None:
        found = estimated(ask(), ONE, TWO)
        assert found.tokens_for(1_512 * NANO_PER_MICRO) == 256
        assert found.tokens_for(2_000 * NANO_PER_MICRO) == 500
        assert found.tokens_for(2_000 * NANO_PER_MICRO - 1) == 499

    def test_the_one_that_is_paid_for_to_its_end_sets_no_limit(self) -> None:
        """`TWO` ends at 4,000 tokens, which 9,000 pays for; `ONE` goes on to 8,500."""
        assert estimated(ask(), ONE, TWO).tokens_for(9_000 * NANO_PER_MICRO) == 8_500

    def test_the_one_of_which_nobody_knows_an_end_goes_on_as_long_as_it_is_told(self) -> None:
        """Alone it is held for 32,768 tokens; told the 79,500 of the other it would cost twice what there is."""
        endless = endpoint("gamma", usd="1", context=None)
        longer = endpoint("delta", usd="0.5", context=None, max_output=100_000)
        assert estimated(ask(), longer).tokens_for(40_000 * NANO_PER_MICRO) == 79_500
        assert estimated(ask(), endless, longer).tokens_for(40_000 * NANO_PER_MICRO) == 39_500
        assert estimated(ask(), endless).tokens_for(40_000 * NANO_PER_MICRO) is None

    def test_everything(self) -> None:
        assert estimated(ask(), ONE, TWO).tokens_for(10_500 * NANO_PER_MICRO) is None

    def test_not_even_the_input(self) -> None:
        assert estimated(ask(), ONE).tokens_for(500 * NANO_PER_MICRO - 1) == 0

    def test_what_costs_nothing_has_no_end(self) -> None:
        assert estimated(ask(), endpoint(usd="0")).tokens_for(0) is None


LISTED = read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())
KEYS = {name: "k" for row in tomllib.loads(PROVIDERS).values() for name in row.get("variables", ())}
SHIPPED = [
    each
    for found in catalog_of(known(Settings(), KEYS, listed=LISTED)).endpoints.values()
    for each in found
    if each.price is not None
]
REQUESTS = [
    ask(),
    ask(max_output_tokens=1),
    ask(max_output_tokens=5_000),
    SEARCHING,
    THINKING,
    replace(SEARCHING, max_tool_calls=3),
    ask(service_tier="priority"),
    said(InputText(text="Hi"), SOUND, PICTURE),
]


@dataclass(frozen=True)
class Drawn:
    request: Request
    endpoints: tuple[Endpoint, ...]
    body_bytes: int

    @property
    def estimate(self) -> Estimate:
        return estimated(self.request, *self.endpoints, body_bytes=self.body_bytes)


DRAWN = st.builds(
    Drawn,
    request=st.sampled_from(REQUESTS),
    endpoints=st.lists(st.sampled_from(SHIPPED), min_size=1, max_size=3).map(tuple),
    body_bytes=st.integers(100, 3_000_000),
)


def spent(data: st.DataObject, drawn: Drawn, one: Endpoint, output_tokens: int) -> int:
    """What some usage within the bounds of an endpoint costs."""
    request = drawn.request
    read = estimated(request, one, body_bytes=drawn.body_bytes).input_tokens
    searches = 0
    if request.tools:
        searches = BOUNDS.searches if request.max_tool_calls is None else request.max_tool_calls
    input_tokens = data.draw(st.integers(0, read))
    draws = "image" in one.output_modalities
    counted = cost(
        Usage(
            input_tokens=input_tokens,
            cache_read_tokens=data.draw(st.integers(0, input_tokens)),
            cache_write_tokens=data.draw(st.integers(0, input_tokens)),
            audio_input_tokens=data.draw(st.integers(0, min(11 * 32, read))) if request is REQUESTS[-1] else 0,
            output_tokens=output_tokens,
            reasoning_tokens=data.draw(st.integers(0, output_tokens)),
            images=int(draws),
            image_output_tokens=data.draw(st.sampled_from((0, output_tokens)) if draws else st.just(0)),
            searches=searches,
        ),
        one.price,
        service_tier=data.draw(st.sampled_from((None, "default", request.service_tier))),
    )
    assert counted.total is not None
    return counted.total


def limit(request: Request, one: Endpoint) -> int:
    limits = (request.max_output_tokens, one.max_output_tokens, one.context_tokens)
    return min([each for each in limits if each is not None], default=BOUNDS.unlimited_output_tokens)


@given(st.data(), DRAWN)
def test_no_usage_within_the_bounds_costs_more_than_the_worst_case(data: st.DataObject, drawn: Drawn) -> None:
    one = data.draw(st.sampled_from(drawn.endpoints))
    output_tokens = data.draw(st.integers(0, limit(drawn.request, one)))
    assert spent(data, drawn, one, output_tokens) <= drawn.estimate.wanted_nano


@given(st.data(), DRAWN)
def test_what_a_smaller_amount_buys_costs_no_more_than_it(data: st.DataObject, drawn: Drawn) -> None:
    found = drawn.estimate
    amount = data.draw(st.integers(found.floor_nano, found.wanted_nano))
    bought = found.tokens_for(amount)
    one = data.draw(st.sampled_from(drawn.endpoints))
    most = limit(drawn.request, one) if bought is None else min(bought, limit(drawn.request, one))
    assert spent(data, drawn, one, data.draw(st.integers(0, most))) <= amount
    if drawn.request.max_output_tokens is None:
        assert bought is None or bought >= min(each.floor_tokens for each in found.ceilings)


@given(st.data(), DRAWN)
def test_as_many_tokens_as_an_amount_buys_may_be_asked_for_and_no_more(data: st.DataObject, drawn: Drawn) -> None:
    found = drawn.estimate
    amount = data.draw(st.integers(0, found.wanted_nano))
    bought = found.tokens_for(amount)

    def wanted(tokens: int) -> int:
        asked = replace(drawn.request, max_output_tokens=tokens)
        return estimated(asked, *drawn.endpoints, body_bytes=drawn.body_bytes).wanted_nano

    if bought is None:
        assert amount == found.wanted_nano
        return
    assert bought == 0 or wanted(bought) <= amount
    assert wanted(bought + 1) > amount
