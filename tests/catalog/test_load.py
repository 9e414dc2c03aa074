"""Shipped texts and settings → a catalog, or one line for each mistake; which providers are on, and why not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

import pytest

from tests.catalog.loading import MODELS, known
from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import PLAIN
from trunkline.catalog.load import catalog_of
from trunkline.catalog.standings import DIALECTS, SCHEMES
from trunkline.errors import NotFound
from trunkline.settings.reading import SettingsError, build_settings, read_sources

SHIPPED = """
[[models]]
slug = "openai/gpt-5"
name = "GPT-5"
[[models.endpoints]]
provider = "openai"
upstream_model = "gpt-5-2026"
context_tokens = 400000
supports = ["tools"]
price = { input = "1.25", output = "10", tiers = [{ above_input_tokens = 9, input = "2.5", output = "20" }] }
[[models.endpoints]]
provider = "azure"
upstream_model = "gpt-5"
price = { input = "1.25", output = "10" }
"""


def catalog(
    text: str = "",
    environ: Mapping[str, str] | None = None,
    files: Mapping[str, str] | None = None,
    models: str = MODELS,
    dialects: frozenset[str] = frozenset(DIALECTS),
    schemes: frozenset[str] = frozenset(SCHEMES),
) -> Catalog:
    def read_file(path: str) -> str:
        try:
            return (files or {})[path]
        except KeyError:
            raise FileNotFoundError(path) from None

    settings = build_settings(read_sources(file_text=text))
    return catalog_of(known(settings, environ, read_file=read_file, models=models, dialects=dialects, schemes=schemes))


def on(loaded: Catalog) -> list[str]:
    return [slug for slug, standing in loaded.standings.items() if standing.is_on]


class TestShipped:
    def test_every_provider_name_of_the_contract_is_known(self) -> None:
        loaded = catalog()
        assert len(loaded.standings) == 70
        for name in ("Amazon Bedrock", "Google AI Studio", "Z.AI", "Mancer 2", "FakeProvider", "xAI"):
            assert loaded.provider_slug(name) in loaded.standings

    def test_each_row_is_whole(self) -> None:
        for slug, standing in catalog().standings.items():
            provider = standing.provider
            assert provider.name, slug
            assert all(url.startswith(("https://", "fake://")) for url in provider.base_urls.values()), slug
            assert not any(url.endswith("/") for url in provider.base_urls.values()), slug
            assert provider.base_urls or provider.status == "no-public-api", slug
            assert provider.credential.name or provider.credential.scheme not in ("header", "query"), slug
            assert provider.credential.variables or provider.credential.scheme == "none", slug

    def test_every_model_has_a_price_and_a_known_provider(self) -> None:
        loaded = catalog("[providers.fake-provider]\nenabled = true")
        assert loaded.warnings == ()
        assert set(loaded.endpoints) == {f"fake/{name}" for name in ("echo", "lorem", "reasoner", "image", "search")}
        (endpoint,) = loaded.endpoints["fake/echo"]
        assert endpoint.price is not None
        assert (endpoint.price.input, endpoint.price.output) == (Decimal("0.0000001"), Decimal("0.0000004"))
        assert endpoint.base_url == "fake://provider"


@dataclass(frozen=True)
class Standing:
    id: str
    provider: str
    is_on: bool
    reason: str
    text: str = ""
    environ: Mapping[str, str] | None = None
    files: Mapping[str, str] | None = None


STANDINGS = [
    Standing("its variable is set", "groq", True, "key from GROQ_API_KEY", environ={"GROQ_API_KEY": "k"}),
    Standing(
        "its second variable is set", "deepinfra", True, "key from DEEPINFRA_TOKEN", environ={"DEEPINFRA_TOKEN": "k"}
    ),
    Standing("CF-05 its variable is missing", "groq", False, "no key; set GROQ_API_KEY"),
    Standing("CF-05 its variable is blank", "groq", False, "no key; set GROQ_API_KEY", environ={"GROQ_API_KEY": " \n"}),
    Standing(
        "CF-05 the operator's variable is missing, and the usual one is not taken instead",
        "groq",
        False,
        "MY_KEY is not set or empty; set it to the key",
        "[providers.groq]\napi_key = { env = 'MY_KEY' }",
        {"GROQ_API_KEY": "k"},
    ),
    Standing(
        "its key is in a file",
        "groq",
        True,
        "key from /run/k",
        "[providers.groq]\napi_key = { file = '/run/k' }",
        files={"/run/k": "k\n"},
    ),
    Standing(
        "the file is not there",
        "groq",
        False,
        "cannot read /run/k (FileNotFoundError); put the key there",
        "[providers.groq]\napi_key = { file = '/run/k' }",
    ),
    Standing(
        "a key with a line break would forge a header",
        "groq",
        False,
        "the key from GROQ_API_KEY has white space or characters that no header can carry",
        environ={"GROQ_API_KEY": "k\r\nx-evil: 1"},
    ),
    Standing(
        "it is turned off",
        "groq",
        False,
        "turned off in the settings",
        "[providers.Groq]\nenabled = false",
        {"GROQ_API_KEY": "k"},
    ),
    Standing(
        "its address lacks a part",
        "cloudflare",
        False,
        "its address is not complete; set providers.cloudflare.variables.account_id or CLOUDFLARE_ACCOUNT_ID",
        environ={"CLOUDFLARE_API_TOKEN": "k"},
    ),
    Standing(
        "its address is filled from the environment",
        "cloudflare",
        True,
        "key from CLOUDFLARE_API_TOKEN",
        environ={"CLOUDFLARE_API_TOKEN": "k", "CLOUDFLARE_ACCOUNT_ID": "42"},
    ),
    Standing(
        "it has no public address",
        "stealth",
        False,
        "it has no public address; set base_url, dialect and api_key in providers.stealth",
        environ={"STEALTH_API_KEY": "k"},
    ),
    Standing(
        "a service account's JSON has blanks",
        "google-vertex",
        True,
        "key from GOOGLE_VERTEX_CREDENTIALS_JSON",
        environ={
            "GOOGLE_VERTEX_CREDENTIALS_JSON": '{"type": "service_account",\n "project_id": "p"}',
            "GOOGLE_CLOUD_PROJECT": "p",
            "GOOGLE_CLOUD_LOCATION": "global",
        },
    ),
    Standing(
        "the machine has an identity and nobody says so",
        "amazon-bedrock",
        False,
        "no key; set AWS_ACCESS_KEY_ID",
        environ={"AWS_REGION": "eu-west-1"},
    ),
    Standing(
        "AWS's libraries are to look for a key",
        "amazon-bedrock",
        True,
        "its key is looked for on this machine",
        "[providers.amazon-bedrock]\nenabled = true",
        {"AWS_REGION": "eu-west-1"},
    ),
    Standing(
        "Google's library is to look for a key, and the address lacks a part",
        "google-vertex",
        False,
        "its address is not complete; set providers.google-vertex.variables.project or GOOGLE_VERTEX_PROJECT",
        "[providers.google-vertex]\nenabled = true",
        {"GOOGLE_CLOUD_LOCATION": "global"},
    ),
    Standing(
        "a key that is named and not there is not looked for elsewhere",
        "google-vertex",
        False,
        "MY_KEY is not set or empty; set it to the key",
        "[providers.google-vertex]\nenabled = true\napi_key = { env = 'MY_KEY' }",
    ),
    Standing(
        "an AWS profile is named",
        "amazon-bedrock",
        True,
        "key from AWS_PROFILE",
        environ={"AWS_PROFILE": "work", "AWS_REGION": "eu-west-1"},
    ),
    Standing(
        "an Entra application is told in part",
        "azure",
        False,
        "AZURE_CLIENT_SECRET is of use only beside AZURE_TENANT_ID and AZURE_CLIENT_ID; set that too",
        environ={"AZURE_CLIENT_SECRET": "s", "AZURE_RESOURCE_NAME": "ours"},
    ),
    Standing(
        "an Entra application is told in whole",
        "azure",
        True,
        "key from AZURE_CLIENT_SECRET",
        environ={
            "AZURE_CLIENT_SECRET": "s",
            "AZURE_TENANT_ID": "t",
            "AZURE_CLIENT_ID": "c",
            "AZURE_RESOURCE_NAME": "ours",
        },
    ),
    Standing(
        "a private one signs for AWS",
        "ours",
        True,
        "its key is looked for on this machine",
        "[providers.ours]\ndialect = 'converse'\nbase_url = 'https://a'\ncredential_scheme = 'sigv4'\nenabled = true",
    ),
    Standing("the fake one is alone", "fake-provider", True, "no other provider is on"),
    Standing(
        "the fake one steps back",
        "fake-provider",
        False,
        "another provider is on; its models answer by their exact names;"
        " providers.fake-provider.enabled = true lists them too",
        environ={"GROQ_API_KEY": "k"},
    ),
    Standing(
        "the fake one does not take the place of a named one that lacks its key",
        "fake-provider",
        False,
        "the settings name a provider; its models answer by their exact names;"
        " providers.fake-provider.enabled = true lists them too",
        "[providers.groq]\napi_key = { env = 'MY_KEY' }",
    ),
    Standing(
        "the fake one is wanted",
        "fake-provider",
        True,
        "needs no key",
        "[providers.fake-provider]\nenabled = true",
        {"GROQ_API_KEY": "k"},
    ),
    Standing(
        "a private one needs no key",
        "our-vllm",
        True,
        "needs no key",
        "[providers.our-vllm]\ndialect = 'chat'\nbase_url = 'http://10.0.0.5:8000/v1/'",
    ),
    Standing(
        "a private one with a header of its own",
        "ours",
        False,
        "set providers.ours.credential_name to the name of its header",
        "[providers.ours]\ndialect = 'chat'\nbase_url = 'http://a'\napi_key = 'k'\ncredential_scheme = 'header'",
    ),
]


@pytest.mark.parametrize("case", STANDINGS, ids=lambda case: case.id)
def test_a_provider_is_on_when(case: Standing) -> None:
    standing = catalog(case.text, case.environ, case.files).standings[case.provider]
    assert (standing.is_on, standing.reason) == (case.is_on, case.reason)


def test_a_provider_is_off_when_this_version_cannot_speak_or_sign_for_it() -> None:
    environ = {"ANTHROPIC_API_KEY": "k", "AWS_ACCESS_KEY_ID": "k", "AWS_REGION": "us-east-1", "OPENAI_API_KEY": "k"}
    loaded = catalog(environ=environ, dialects=frozenset({"chat"}), schemes=frozenset({"bearer", "header"}))
    assert loaded.standings["anthropic"].reason == "this version does not speak its dialect (messages)"
    assert loaded.standings["amazon-bedrock"].reason == "this version cannot sign for it (sigv4)"
    assert on(loaded) == ["openai"]


def test_a_provider_that_lacks_nothing_but_a_key_serves_who_brings_one() -> None:
    loaded = catalog(environ={"OPENAI_API_KEY": "k", "AZURE_RESOURCE_NAME": "r"}, models=SHIPPED)
    here = [end.provider.slug for end in loaded.endpoints_of("openai/gpt-5")]
    assert here == ["openai"]
    for name in ("openai/gpt-5", "OpenAI/GPT-5", "gpt-5"):
        brought = loaded.endpoints_of(name, {"azure", "groq"})
        assert [(end.provider.slug, end.needs_own_key) for end in brought] == [("openai", False), ("azure", True)]
        assert loaded.endpoints_of(name, {"groq"}) == loaded.endpoints_of(name)
    assert loaded.endpoints_of("openai/gpt-5", {"azure"})[1] is loaded.endpoints_of("openai/gpt-5", {"azure"})[1]
    alone = catalog(models=SHIPPED, environ={"AZURE_RESOURCE_NAME": "r"})
    assert [end.provider.slug for end in alone.endpoints_of("openai/gpt-5", {"azure"})] == ["azure"]
    with pytest.raises(NotFound, match="No provider that serves openai/gpt-5 is on"):
        alone.endpoints_of("openai/gpt-5", {"groq"})
    assert dict(alone.keyless).keys() == {"openai/gpt-5"}


@pytest.mark.parametrize(
    ("text", "environ", "provider", "obstacle"),
    [
        ("", {}, "openai", ""),
        ("", {}, "azure", "its address is not complete; set providers.azure.variables.resource or AZURE_RESOURCE_NAME"),
        ("", {"AZURE_RESOURCE_NAME": "r"}, "azure", ""),
        ("[providers.openai]\nenabled = false", {}, "openai", "turned off in the settings"),
        ("", {"OPENAI_API_KEY": "two words"}, "openai", ""),
    ],
)
def test_what_else_than_a_key_a_provider_lacks(
    text: str, environ: dict[str, str], provider: str, obstacle: str
) -> None:
    standing = catalog(text, environ).standings[provider]
    assert (standing.is_on, standing.obstacle, standing.lacks_key) == (False, obstacle, not obstacle)


def test_a_provider_that_is_on_or_needs_no_key_lacks_none() -> None:
    loaded = catalog(environ={"OPENAI_API_KEY": "k"})
    for slug in ("openai", "fake-provider"):
        assert not loaded.standings[slug].lacks_key, slug


def test_the_first_dialect_that_is_spoken_is_taken() -> None:
    text = "[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/gpt-5'"
    environ = {"OPENAI_API_KEY": "k"}
    assert catalog(text, environ).endpoints["openai/gpt-5"][0].dialect == "responses"
    spoken = catalog(text, environ, dialects=frozenset({"chat"}))
    assert spoken.endpoints["openai/gpt-5"][0].dialect == "chat"


def test_keys_do_not_print() -> None:
    loaded = catalog(environ={"GROQ_API_KEY": "canary"})
    assert "canary" not in repr(loaded.standings["groq"])
    secret = loaded.standings["groq"].secret
    assert secret is not None
    assert secret.reveal() == "canary"
    assert "canary" not in f"{secret} {secret!r}"


class TestProviderEntry:
    def test_changes_only_what_it_names(self) -> None:
        text = """
            [providers.Anthropic]
            data_policy = { zdr = true }
            region = "EU"
            headers = { x-team = "a" }
            quirks = { max_temperature = 1.0 }
        """
        provider = catalog(text).standings["anthropic"].provider
        assert provider.base_urls == {"messages": "https://api.anthropic.com/v1"}
        policy = provider.data_policy
        assert (policy.trains, policy.zdr, policy.retains_days) == (False, True, 30)
        assert policy.told == {"zdr"}
        assert policy.sources
        assert provider.region == "EU"
        assert provider.quirks.extra_headers == {"x-team": "a"}
        assert provider.quirks.max_temperature == 1.0
        assert provider.quirks.reasoning_format == "anthropic-claude-v1"

    def test_sends_nothing_to_the_known_addresses_once_it_has_its_own(self) -> None:
        provider = catalog("[providers.openai]\nbase_url = 'http://proxy/v1/'").standings["openai"].provider
        assert provider.base_urls == {"responses": "http://proxy/v1"}

    @pytest.mark.parametrize(
        ("entry", "told"),
        [
            ("dialect = 'chat'\nbase_url = 'http://10.0.0.5:8000/v1'", "inline"),
            ("dialect = 'chat'\nbase_url = 'http://vllm:8000/v1'", "inline"),
            ("dialect = 'chat'\nbase_url = 'http://[::1]/v1'", "inline"),
            ("dialect = 'chat'\nbase_url = 'http://[::1/v1'", "inline"),
            ("dialect = 'chat'\nbase_url = 'https://llm.a.example/v1'", "forward"),
            ("dialect = 'chat'\nbase_url = 'fake://x/v1'", "forward"),
            ("dialect = 'chat'\nbase_url = 'http://10.0.0.5/v1'\nquirks = { image_urls = 'forward' }", "forward"),
        ],
    )
    def test_FE_11_follows_no_link_itself_in_a_private_network(self, entry: str, told: str) -> None:
        provider = catalog(f"[providers.ours]\n{entry}").standings["ours"].provider
        assert provider.quirks_in("chat").image_urls == told

    def test_may_prefer_another_dialect(self) -> None:
        provider = catalog("[providers.openai]\ndialect = 'chat'").standings["openai"].provider
        assert list(provider.base_urls) == ["chat", "responses"]

    def test_fills_the_braces_of_an_address(self) -> None:
        text = "[providers.azure]\nvariables = { resource = 'ours' }"
        loaded = catalog(text, {"AZURE_API_KEY": "k"})
        assert loaded.standings["azure"].provider.base_urls["chat"] == "https://ours.openai.azure.com/openai/v1"
        assert on(loaded) == ["azure"]


@dataclass(frozen=True)
class Mistake:
    id: str
    text: str
    problem: str


MISTAKES = [
    Mistake(
        "CF-01 an unknown provider",
        "[providers.antropic]\napi_key = 'k'",
        "providers.antropic: not a known provider, and a private one needs dialect and base_url; "
        "did you mean 'anthropic'?",
    ),
    Mistake(
        "one provider in two spellings",
        "[providers.groq]\nregion = 'US'\n[providers.Groq]\nenabled = false",
        "providers.Groq is the same provider as providers.groq; write one table",
    ),
    Mistake(
        "a slug with capitals",
        "[providers.Ours]\ndialect = 'chat'\nbase_url = 'http://a'",
        "providers.Ours: a provider's slug has lower-case letters, digits and hyphens only",
    ),
    Mistake(
        "an unknown dialect",
        "[providers.ours]\ndialect = 'chta'\nbase_url = 'http://a'",
        "providers.ours.dialect: unknown dialect 'chta'; did you mean 'chat'?",
    ),
    Mistake(
        "an unknown quirk",
        "[providers.groq]\nquirks = { has_topk = false }",
        "providers.groq.quirks: unknown quirk 'has_topk'; did you mean 'has_top_k'?",
    ),
    Mistake(
        "a quirk of the wrong type",
        "[providers.groq]\nquirks = { has_top_k = 'no' }",
        "providers.groq.quirks: Expected `bool`, got `str` - at `$.has_top_k`",
    ),
    Mistake(
        "an endpoint at an unknown provider",
        "[[endpoints]]\nprovider = 'opnai'\nmodel = 'a/b'",
        "endpoints[0].provider: unknown provider 'opnai'; did you mean 'openai'?",
    ),
    Mistake(
        "a model without an author",
        "[[endpoints]]\nprovider = 'openai'\nmodel = 'gpt-5'",
        "endpoints[0].model: 'gpt-5' is not of the form author/name",
    ),
    Mistake(
        "CF-01 an endpoint twice",
        "[[endpoints]]\nprovider = 'openai'\nmodel = 'a/b'\n[[endpoints]]\nprovider = 'OpenAI'\nmodel = 'A/B'",
        "endpoints[1] repeats endpoints[0]; remove one, or tell them apart by tag",
    ),
    Mistake(
        "an endpoint with an unknown quirk",
        "[[endpoints]]\nprovider = 'openai'\nmodel = 'a/b'\nquirks = { has_topk = false }",
        "endpoints[0].quirks: unknown quirk 'has_topk'; did you mean 'has_top_k'?",
    ),
]


@pytest.mark.parametrize("case", MISTAKES, ids=lambda case: case.id)
def test_a_mistake_is_one_line(case: Mistake) -> None:
    with pytest.raises(SettingsError) as raised:
        catalog(case.text)
    assert raised.value.problems == (case.problem,)


class TestEndpointEntry:
    ENVIRON: Mapping[str, str] = {"OPENAI_API_KEY": "k"}

    def test_is_laid_over_the_shipped_one_field_by_field(self) -> None:
        text = "[[endpoints]]\nprovider = 'OpenAI'\nmodel = 'OpenAI/GPT-5'\nprice = { input = '1', output = '2' }"
        (endpoint,) = catalog(text, self.ENVIRON, models=SHIPPED).endpoints["openai/gpt-5"]
        assert endpoint.upstream_model == "gpt-5-2026"
        assert endpoint.context_tokens == 400_000
        assert endpoint.supports == frozenset({"tools"})
        assert endpoint.model.name == "GPT-5"
        assert endpoint.price is not None
        assert (endpoint.price.input, endpoint.price.tiers) == (Decimal("0.000001"), ())

    def test_adds_a_model_with_all_it_says(self) -> None:
        text = """
            [[endpoints]]
            provider = "openai"
            model = "openai/gpt-6:free"
            name = "Six"
            tag = "openai/fast"
            price = { input = "1", output = "2", request = "0.01", image = "0.04", search = "0.02", audio = "3" }
            context_tokens = 10
            max_output_tokens = 5
            supports = ["tools", "reasoning"]
            quantization = "fp8"
            distillable = true
            dialect = "chat"
            input_modalities = ["text", "image"]
            output_modalities = ["image"]
            reasoning_efforts = ["low"]
            quirks = { has_verbosity = false }
        """
        (endpoint,) = catalog(text, self.ENVIRON).endpoints["openai/gpt-6:free"]
        price = endpoint.price
        assert price is not None
        assert endpoint.id == "openai/fast:openai/gpt-6:free"
        assert endpoint.upstream_model == "gpt-6"
        assert (price.request, price.image_output, price.search) == (Decimal("0.01"), Decimal("0.04"), Decimal("0.02"))
        assert price.audio_input == Decimal("0.000003")
        assert (endpoint.model.name, endpoint.model.is_distillable) == ("Six", True)
        assert (endpoint.context_tokens, endpoint.max_output_tokens, endpoint.quantization) == (10, 5, "fp8")
        assert (endpoint.supports, endpoint.dialect) == (frozenset({"tools", "reasoning"}) | PLAIN, "chat")
        assert endpoint.input_modalities == frozenset({"text", "image"})
        assert endpoint.output_modalities == frozenset({"image"})
        assert endpoint.reasoning_efforts == ("low",)
        assert endpoint.quirks.has_verbosity is False
        assert endpoint.quirks.has_cache_key is True

    @pytest.mark.parametrize(
        ("provider", "model", "upstream"),
        [
            ("openai", "openai/gpt-6", "gpt-6"),
            ("openai", "OpenAI/GPT-6", "GPT-6"),
            ("openai", "meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.3-70B-Instruct"),
            ("openai", "deepseek/deepseek-r1:free", "deepseek/deepseek-r1"),
        ],
    )
    def test_guesses_the_name_upstream(self, provider: str, model: str, upstream: str) -> None:
        text = f"[[endpoints]]\nprovider = '{provider}'\nmodel = '{model}'"
        assert catalog(text, self.ENVIRON).endpoints[model.lower()][0].upstream_model == upstream

    def test_stands_beside_the_shipped_one_when_its_tag_differs(self) -> None:
        text = "[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/gpt-5'\ntag = 'openai/flex'"
        found = catalog(text, self.ENVIRON, models=SHIPPED).endpoints["openai/gpt-5"]
        assert [endpoint.tag for endpoint in found] == ["", "openai/flex"]

    def test_CF_06_without_a_price_is_served_with_a_warning(self) -> None:
        loaded = catalog("[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/gpt-6'", self.ENVIRON)
        assert loaded.endpoints["openai/gpt-6"][0].price is None
        assert [warning for warning in loaded.warnings if "openai/gpt-6 has no price" in warning]


def test_only_providers_that_are_on_serve() -> None:
    loaded = catalog(environ={"OPENAI_API_KEY": "k"}, models=SHIPPED)
    assert [endpoint.provider.slug for endpoint in loaded.endpoints["openai/gpt-5"]] == ["openai"]
    assert loaded.offers["openai/gpt-5"] == ("openai", "azure")
    tier = loaded.endpoints["openai/gpt-5"][0].price
    assert tier is not None
    assert tier.tiers[0].output == Decimal("0.00002")


@pytest.mark.parametrize(
    ("text", "environ", "warning"),
    [
        (
            "",
            {"GROQ_API_KEY": "k"},
            "groq is on, but no model is known for it; add [[endpoints]] with provider = 'groq'",
        ),
        (
            "",
            {"PARASAIL_API_KEY": "k"},
            "parasail is on, but no model is known for it (its prices stand in its console only); add [[endpoints]] "
            "with provider = 'parasail'",
        ),
        (
            "[[endpoints]]\nprovider = 'groq'\nmodel = 'a/b'",
            {},
            "endpoints[0]: a/b is not served by groq (off: no key; set GROQ_API_KEY)",
        ),
        (
            "[defaults]\nmodel = 'a/b'",
            {},
            "defaults.model: a/b is not served now; requests without a model will get a 404",
        ),
        (
            "[plugins.auto_router]\nmodels = ['a/b']",
            {},
            "plugins.auto_router.models: a/b is not served now, and will not be chosen",
        ),
    ],
)
def test_what_will_surprise_is_said(text: str, environ: Mapping[str, str], warning: str) -> None:
    assert warning in catalog(text, environ).warnings


@pytest.mark.parametrize(
    "text", ["[defaults]\nmodel = 'OpenRouter/auto'", "[plugins.auto_router]\nmodels = ['fake/echo']"]
)
def test_the_auto_router_as_default_and_models_that_answer_by_name_surprise_nobody(text: str) -> None:
    assert not [told for told in catalog(text, {"GROQ_API_KEY": "k"}).warnings if "auto" in told.lower()]
