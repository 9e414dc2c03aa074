"""What is shipped: seventy providers as the contract names them, and a list of models that can be believed."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from openrouter.components import ListEndpointsResponse, ModelsListResponse
from openrouter.operations import ListProvidersResponse

from tests.catalog.loading import PROVIDERS, known
from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import catalog_of, offers_of
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.quirks import Quirks
from trunkline.catalog.renewal import objections
from trunkline.catalog.rows import ModelsFile
from trunkline.catalog.standings import DIALECTS
from trunkline.server.models import Listing
from trunkline.settings.reading import build_settings, read_sources

ROOT = Path(__file__).parent.parent.parent
SHIPPED = files("trunkline.catalog")
ROWS: dict[str, dict[str, Any]] = tomllib.loads(PROVIDERS)
FILE = read_models(SHIPPED.joinpath("models.json").read_bytes())
CONTRACT = json.loads(files("trunkline.server").joinpath("openapi.json").read_bytes())
NAMES: list[str] = CONTRACT["components"]["schemas"]["ProviderName"]["enum"]
SLUG = re.compile(r"[a-z0-9][a-z0-9._-]*/[a-z0-9][a-z0-9._-]*")


def catalog(text: str = "", **environ: str) -> Catalog:
    return catalog_of(known(build_settings(read_sources(file_text=text)), environ, listed=FILE))


KEYS = [name for row in ROWS.values() for name in row.get("variables", ())]
EVERYTHING = catalog(
    "[providers.fake-provider]\nenabled = true",
    **dict.fromkeys(KEYS, "k"),
    **{name[0]: "us-east1" for row in ROWS.values() for name in row.get("url_variables", {}).values()},
    **{name: "k" for row in ROWS.values() for names in row.get("companions", {}).values() for name in names},
)


@cache
def _served() -> set[str]:
    return {entry.row.provider for entry in known(build_settings(read_sources()), listed=FILE).entries}


class TestProviders:
    def test_there_is_a_row_for_every_name_of_the_contract_in_its_order(self) -> None:
        assert [row["name"] for row in ROWS.values()] == NAMES
        assert len(ROWS) == 70

    @pytest.mark.parametrize("name", NAMES)
    def test_names_and_slugs_are_one_in_any_spelling(self, name: str) -> None:
        (slug,) = [slug for slug, row in ROWS.items() if row["name"] == name]
        for spelling in (name, name.upper(), name.lower(), slug, slug.upper(), slug.replace("-", "_"), f" {name} "):
            assert EVERYTHING.provider_slug(spelling) == slug
        assert EVERYTHING.provider_slug(f"{name}/Turbo") == f"{slug}/turbo"

    @pytest.mark.parametrize("slug", ROWS)
    def test_a_row_says_only_what_there_is(self, slug: str) -> None:
        row = ROWS[slug]
        assert set(row.get("quirks", {})) <= set(Quirks.__struct_fields__)
        msgspec.convert(row.get("quirks", {}), Quirks)
        assert set(row.get("urls", {})) <= set(DIALECTS)
        braces = {name for url in row.get("urls", {}).values() for name in re.findall(r"\{(\w+)\}", url)}
        assert braces == set(row.get("url_variables", {}))
        assert row.get("urls") or "base_url" in row["note"], "a row without an address says how to configure it"
        assert row.get("status", "active") == "active" or row["note"]

    @pytest.mark.parametrize("slug", ROWS)
    def test_nothing_favourable_is_said_of_prompts_without_a_document_and_a_day(self, slug: str) -> None:
        row = ROWS[slug]
        sources, seen = row.get("policy_sources", []), row.get("policy_seen", "")
        is_favourable = row.get("trains") is False or row.get("zdr") is True or "retains_days" in row
        assert bool(sources) == bool(seen)
        assert sources or not is_favourable or row.get("status") == "internal"
        assert all(urlsplit(source).scheme == "https" and urlsplit(source).hostname for source in sources)
        assert not seen or date.fromisoformat(seen) >= date(2026, 11, 27)
        assert not row.get("zdr") or row.get("trains") is False, "who keeps nothing cannot train"
        assert not row.get("zdr") or row.get("retains_days", 0) == 0

    @pytest.mark.parametrize("slug", [slug for slug, row in ROWS.items() if "policy_models" in row])
    def test_a_policy_of_some_models_is_the_policy_of_some_that_are_served(self, slug: str) -> None:
        ends = [end for found in EVERYTHING.endpoints.values() for end in found if end.provider.slug == slug]
        assert any(end.data_policy.trains is False for end in ends)

    @pytest.mark.parametrize(
        ("provider", "model", "is_zdr"),
        [
            ("amazon-bedrock", "anthropic/claude-opus-4.8", True),
            ("amazon-bedrock", "anthropic/claude-fable-5", None),
            ("amazon-bedrock", "anthropic/claude-opus-5.5", None),
            ("amazon-bedrock", "openai/gpt-oss-120b", True),
            ("amazon-bedrock", "openai/gpt-5.5", None),
            ("amazon-bedrock", "amazon/nova-pro-v1", True),
            ("deepinfra", "google/gemma-3-27b-it", True),
            ("deepinfra", "google/gemini-2.5-pro", None),
            ("perplexity", "perplexity/sonar-pro", True),
            ("perplexity", "openai/gpt-5", None),
            ("fireworks", "openai/gpt-5", None),
            ("fireworks", "openai/gpt-oss-20b", True),
            ("groq", "openai/gpt-oss-120b", False),
        ],
    )
    def test_a_policy_holds_for_the_models_that_its_document_speaks_of(
        self, provider: str, model: str, is_zdr: bool | None
    ) -> None:
        assert EVERYTHING.standings[provider].provider.data_policy.of(model).zdr is is_zdr

    @pytest.mark.parametrize("slug", ROWS)
    def test_each_has_models_or_says_why_not(self, slug: str) -> None:
        assert (slug in _served()) != bool(ROWS[slug].get("unlisted")), "models or the mark, never both, never neither"

    def test_each_is_on_with_its_key_and_what_its_address_needs(self) -> None:
        off = {slug: standing.reason for slug, standing in EVERYTHING.standings.items() if not standing.is_on}
        assert off == {
            "stealth": "it has no public address; set base_url, dialect and api_key in providers.stealth",
        }

    @pytest.mark.parametrize(
        ("location", "host"),
        [("global", "https://aiplatform.googleapis.com/"), ("europe-west4", "https://europe-west4-aiplatform.")],
    )
    def test_a_global_host_is_not_marked_with_its_region(self, location: str, host: str) -> None:
        loaded = catalog(GOOGLE_APPLICATION_CREDENTIALS="k", GOOGLE_CLOUD_PROJECT="p", GOOGLE_CLOUD_LOCATION=location)
        for url in loaded.standings["google-vertex"].provider.base_urls.values():
            assert url.startswith(host)
            assert f"/locations/{location}/" in url


class TestModels:
    def test_there_are_enough_with_price_and_context(self) -> None:
        rows = [row for model in FILE.models for row in model.endpoints]
        assert sum(row.price is not None and row.context_tokens is not None for row in rows) >= 1500
        assert len({row.provider for row in rows}) >= 45

    def test_none_is_absurd_double_or_dangling(self) -> None:
        assert objections(ModelsFile(), FILE) == []

    def test_each_is_well_formed(self) -> None:
        for model in FILE.models:
            assert SLUG.fullmatch(model.slug), model.slug
            assert model.name
            for row in model.endpoints:
                assert row.provider in ROWS, row
                assert row.upstream_model, row
                assert row.source in {source.name for source in FILE.sources}
                assert row.dialect is None or row.dialect in ROWS[row.provider]["urls"] or row.dialect == "images", row
                if row.price is not None and row.price.cache_read is not None:
                    assert row.price.cache_read <= row.price.input, (model.slug, row)

    def test_a_dispute_names_what_each_list_says_and_when(self) -> None:
        days = {source.name: source.date for source in FILE.sources}
        disputed = [end for found in EVERYTHING.endpoints.values() for end in found if end.claims]
        assert len(disputed) > 20
        for end in disputed:
            in_force, *others = end.claims
            sums = [claim.input + claim.output for claim in end.claims]
            assert end.is_disputed
            assert others
            assert end.price is not None
            assert (in_force.input, in_force.output) == (end.price.input, end.price.output), end.id
            assert max(sums) > min(sums) * Decimal("1.1"), end.id
            assert all(claim.source_date == days[claim.source] for claim in end.claims)

    def test_each_set_of_quirks_exists(self) -> None:
        for quirks in FILE.quirks:
            assert set(quirks) <= set(Quirks.__struct_fields__)
            msgspec.convert(quirks, Quirks)

    def test_each_list_is_named_with_day_and_licence(self) -> None:
        notice = (ROOT / "NOTICE").read_text("utf-8")
        for source in FILE.sources:
            assert date.fromisoformat(source.date) <= date(2026, 11, 27)
            assert urlsplit(source.url).scheme == "https"
            if source.name.startswith("the list of "):
                assert source.name.removeprefix("the list of ") in ROWS
            else:
                assert source.licence == "MIT"
                assert source.url in notice

    @pytest.mark.parametrize(
        ("slug", "providers"),
        [
            ("openai/gpt-5-mini", {"openai", "azure"}),
            ("anthropic/claude-opus-4.8", {"anthropic", "amazon-bedrock", "google-vertex", "azure"}),
            ("google/gemini-3.5-flash", {"google-ai-studio", "google-vertex"}),
            ("meta-llama/llama-3.3-70b-instruct", {"groq", "deepinfra", "together"}),
            ("deepseek/deepseek-v3.2", {"novita", "siliconflow", "azure"}),
            ("openai/gpt-oss-120b", {"groq", "cerebras", "baseten", "amazon-bedrock"}),
        ],
    )
    def test_one_model_is_one_slug_at_all_its_providers(self, slug: str, providers: set[str]) -> None:
        assert providers <= set(EVERYTHING.offers[slug])

    @pytest.mark.parametrize(
        ("slug", "has_ids"),
        [
            ("google/gemini-2.5-flash", False),
            ("google/gemini-2.5-pro", False),
            ("google/gemini-3-flash-preview", True),
            ("google/gemini-3.8-flash", True),
        ],
    )
    def test_ids_of_calls_go_to_gemini_from_its_third_version_on(self, slug: str, has_ids: bool) -> None:
        found = {end.quirks.has_call_ids for end in EVERYTHING.endpoints[slug] if end.dialect == "gemini"}
        assert found == {has_ids}

    def test_no_two_slugs_are_one_name_in_other_signs(self) -> None:
        assert len({fold_name(model.slug) for model in FILE.models}) == len(FILE.models)

    def test_every_offer_can_be_made_an_endpoint(self) -> None:
        everything = known(build_settings(read_sources()), listed=FILE)
        offers = list(offers_of(everything))
        assert len(offers) == len(everything.entries) >= 1900
        assert len({offer.endpoint.id for offer in offers}) == len(offers)
        assert {offer.endpoint.provider.slug for offer in offers if not offer.obstacle} == {"fake-provider"}

    def test_bedrock_offers_only_what_its_region_reaches(self) -> None:
        def tags(region: str) -> set[str]:
            loaded = catalog(AWS_ACCESS_KEY_ID="k", AWS_REGION=region)
            return {end.tag for end in loaded.endpoints["anthropic/claude-opus-4.8"]}

        assert tags("eu-central-1") == {"amazon-bedrock/eu", "amazon-bedrock/global"}
        assert tags("us-east-1") == {"amazon-bedrock/us", "amazon-bedrock/global"}
        assert tags("ap-northeast-1") >= {"amazon-bedrock/jp", "amazon-bedrock/apac"}


class TestOperator:
    def test_an_entry_wins_over_the_list_field_by_field(self) -> None:
        before = catalog(OPENAI_API_KEY="k").endpoints["openai/gpt-5-mini"][0]
        text = """
        [[endpoints]]
        provider = "openai"
        model = "openai/gpt-5-mini"
        price = { input = "0.1", output = "0.2" }
        quirks = { has_verbosity = false }
        """
        (after,) = catalog(text, OPENAI_API_KEY="k").endpoints["openai/gpt-5-mini"]
        assert after.price is not None
        assert after.price.input == Decimal("0.0000001")
        assert after.source == "operator"
        assert not after.quirks.has_verbosity
        assert (after.context_tokens, after.supports) == (before.context_tokens, before.supports)

    def test_an_entry_with_a_price_ends_a_dispute(self) -> None:
        before = next(end for found in EVERYTHING.endpoints.values() for end in found if end.claims and not end.tag)
        text = f"[[endpoints]]\nprovider = '{before.provider.slug}'\nmodel = '{before.model.slug}'\n"
        loaded = catalog(text + "price = { input = '1', output = '2' }", **dict.fromkeys(KEYS, "k"))
        (after,) = [end for end in loaded.endpoints[before.model.slug] if end.id == before.id]
        assert (after.is_disputed, after.claims) == (False, ())

    def test_an_endpoint_that_a_region_does_not_reach_can_be_insisted_on(self) -> None:
        text = """
        [[endpoints]]
        provider = "amazon-bedrock"
        model = "anthropic/claude-opus-4.8"
        tag = "amazon-bedrock/us"
        """
        loaded = catalog(text, AWS_ACCESS_KEY_ID="k", AWS_REGION="eu-central-1")
        assert "amazon-bedrock/us" in {end.tag for end in loaded.endpoints["anthropic/claude-opus-4.8"]}

    def test_many_endpoints_without_a_price_are_one_warning_for_each_provider(self) -> None:
        loud = [warning for warning in EVERYTHING.warnings if "no price" in warning]
        assert loud
        assert len(loud) < 3 * len(ROWS)


class TestListing:
    """The public client's own types read every answer."""

    LISTING = Listing(EVERYTHING)

    def test_models(self) -> None:
        answer = ModelsListResponse.model_validate_json(self.LISTING.models())
        assert len(answer.data) == len(EVERYTHING.endpoints) >= 800
        (mini,) = [model for model in answer.data if model.id == "openai/gpt-5-mini"]
        assert (mini.pricing.prompt, mini.pricing.completion) == ("0.00000025", "0.000002")
        assert mini.context_length == 400_000
        assert "tools" in mini.supported_parameters

    def test_a_disputed_price_is_told_with_what_each_list_says(self) -> None:
        slug, disputed = next(
            (end.model.slug, end) for found in EVERYTHING.endpoints.values() for end in found if end.claims
        )
        told = json.loads(self.LISTING.endpoints(slug))["data"]["endpoints"]
        (entry,) = [each for each in told if each["tag"] == (disputed.tag or disputed.provider.slug)]
        in_force, other, *_ = entry["disputed_prices"]
        assert (in_force["prompt"], in_force["completion"]) == (
            entry["pricing"]["prompt"],
            entry["pricing"]["completion"],
        )
        assert other["source"] != in_force["source"]
        assert other["source_date"]

    def test_a_price_that_nobody_told_is_not_taken_for_nothing(self) -> None:
        listing = Listing(catalog("[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/gpt-99'", OPENAI_API_KEY="k"))
        (model,) = [one for one in json.loads(listing.models())["data"] if one["id"] == "openai/gpt-99"]
        assert model["pricing"] == {"prompt": "-1", "completion": "-1"}

    @pytest.mark.parametrize("slug", ["anthropic/claude-opus-4.8", "black-forest-labs/flux-pro-1.1", "fake/echo"])
    def test_endpoints(self, slug: str) -> None:
        answer = ListEndpointsResponse.model_validate(json.loads(self.LISTING.endpoints(slug))["data"])
        assert answer.id == slug
        assert [end.provider_name for end in answer.endpoints] == [
            end.provider.name for end in EVERYTHING.endpoints[slug]
        ]

    def test_providers(self) -> None:
        answer = ListProvidersResponse.model_validate_json(self.LISTING.providers())
        assert [provider.name for provider in answer.data] == [name for name in NAMES if name != "Stealth"]

    def test_capabilities(self) -> None:
        (plain, *_) = [
            entry
            for entry in json.loads(self.LISTING.capabilities("openai/gpt-5-mini"))["data"]
            if entry["provider"] == "openai"
        ]
        assert plain["parameters"]["tools"] is True
        assert plain["parameters"]["temperature"] is False
        assert plain["structured_output"] == "native"
        assert plain["reasoning_efforts"] == ["minimal", "low", "medium", "high"]

    def test_what_is_not_known_is_said_to_be_so(self) -> None:
        text = """
        [providers.mine]
        dialect = "chat"
        base_url = "http://127.0.0.1:1/v1"
        [[endpoints]]
        provider = "mine"
        model = "a/b"
        """
        (entry,) = json.loads(Listing(catalog(text)).capabilities("a/b"))["data"]
        assert entry["parameters"]["temperature"] is None
        assert (entry["context_tokens"], entry["input_modalities"]) == (None, None)

    def test_an_answer_is_rendered_once(self) -> None:
        assert self.LISTING.models() is self.LISTING.models()
        assert self.LISTING.capabilities("fake/echo") is self.LISTING.capabilities("FAKE/echo")
