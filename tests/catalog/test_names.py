"""What names mean that are no models of the list: aliases, and models that their makers shut down."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from importlib.resources import files

import msgspec
import pytest

from tests.catalog.loading import NAMES, known
from trunkline.catalog.entries import Catalog
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import catalog_of
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.rows import NamesFile
from trunkline.errors import NotFound
from trunkline.settings.reading import build_settings, read_sources

NAMED = msgspec.convert(tomllib.loads(NAMES), NamesFile)
FILE = read_models(files("trunkline.catalog").joinpath("models.json").read_bytes())
LISTED = {model.slug for model in FILE.models}
RETIRED = {slug: row for row in NAMED.retired for slug in row.models}
ALIASES = {name: row for row in NAMED.aliases for name in row.names}
NEW = max(source.date for source in FILE.sources)


def catalog(text: str = "", **environ: str) -> Catalog:
    return catalog_of(known(build_settings(read_sources(file_text=text)), environ, listed=FILE))


NOBODY = catalog()
OPENAI = catalog(OPENAI_API_KEY="k")


class TestFile:
    def test_each_row_is_named_once_with_its_source_and_day(self) -> None:
        names = Counter(fold_name(name) for name in (*RETIRED, *ALIASES))
        assert [name for name, times in names.items() if times > 1] == []
        told = [(row.source, row.seen) for row in NAMED.retired] + [(row.source, row.seen) for row in NAMED.aliases]
        for source, seen in told:
            assert source.startswith("https://")
            assert re.fullmatch(r"2026-\d\d-\d\d", seen)

    def test_what_is_gone_has_a_successor_in_the_list_if_its_maker_is_not_gone_as_well(self) -> None:
        for slug, row in RETIRED.items():
            assert row.on == "" or re.fullmatch(r"20\d\d-\d\d-\d\d", row.on), row
            assert row.on <= row.seen, row
            if not row.instead:
                assert slug.startswith("ai21/"), row
                continue
            assert row.instead in LISTED, row
            assert row.instead not in RETIRED, row
            assert row.instead.partition("/")[0] == slug.partition("/")[0], row

    def test_an_alias_is_no_model_and_means_one(self) -> None:
        for name, row in ALIASES.items():
            assert row.model in LISTED or row.model in RETIRED, name
            assert name not in LISTED or name == row.model, name
            assert NOBODY.spellings.of(name) == [row.model], name
            assert row.model in NOBODY.spellings.of(name.partition("/")[2]), name

    def test_what_nobody_serves_says_so(self) -> None:
        gone = set(RETIRED) - LISTED
        assert len(gone) > 50
        for slug in gone:
            row = RETIRED[slug]
            with pytest.raises(NotFound) as raised:
                NOBODY.endpoints_of(slug)
            near = [row.instead] if row.instead else []
            assert raised.value.metadata == {"suggestions": near, "retired_on": row.on or None}, slug
            assert raised.value.message.startswith(f"{slug} was retired by its maker"), slug
            assert ("; try " in raised.value.message) == bool(row.instead), slug
            assert f"try {row.instead}." in raised.value.message or not row.instead, slug


class TestLookup:
    @pytest.mark.parametrize("name", ["openai/o1", "o1", "OpenAI/O1", "openai/o1-2024-12-17", "o1-2024-12-17"])
    def test_a_model_that_is_gone_is_known_in_every_spelling(self, name: str) -> None:
        with pytest.raises(NotFound) as raised:
            OPENAI.endpoints_of(name)
        assert raised.value.message == "openai/o1 was retired by its maker on 2026-10-23; try openai/gpt-5.6-sol."

    def test_a_successor_whose_provider_is_off_says_what_turns_it_on(self) -> None:
        with pytest.raises(NotFound, match=r"try openai/gpt-5.6-sol. Its provider is off: openai \(set OPENAI_API_KEY"):
            NOBODY.endpoints_of("openai/o1")

    def test_a_model_that_others_serve_on_is_served(self) -> None:
        groq = catalog(GROQ_API_KEY="k").endpoints_of("moonshotai/kimi-k2-0711-preview")
        assert [end.model.slug for end in groq] == ["moonshotai/kimi-k2"]
        with pytest.raises(NotFound) as raised:
            NOBODY.endpoints_of("moonshotai/kimi-k2")
        assert raised.value.message.endswith("Its maker retired it on 2026-05-25; try moonshotai/kimi-k3.")
        assert "suggestions" not in raised.value.metadata

    def test_an_operator_may_serve_what_is_gone(self) -> None:
        text = "[[endpoints]]\nprovider = 'openai'\nmodel = 'openai/o1'"
        (end,) = catalog(text, OPENAI_API_KEY="k").endpoints_of("o1")
        assert (end.model.slug, end.upstream_model) == ("openai/o1", "o1")

    @pytest.mark.parametrize(
        ("name", "slug", "sent"),
        [
            ("mistralai/mistral-medium-latest", "mistralai/mistral-medium-3.5", "mistral-medium-2604"),
            ("mistral-large-latest", "mistralai/mistral-large-2512", "mistral-large-2512"),
            ("x-ai/grok-4.20", "x-ai/grok-4.20-reasoning", "grok-4.20-0309-reasoning"),
            ("x-ai/grok-build-latest", "x-ai/grok-4.5", "grok-4.5"),
            ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5", "claude-sonnet-4-5-20250929"),
            ("google/gemini-flash-latest", "google/gemini-3.8-flash", "gemini-3.8-flash"),
            ("deepseek/deepseek-flash", "deepseek/deepseek-v4.1-flash", "deepseek-flash"),
        ],
    )
    def test_an_alias_is_sent_as_the_model_it_means(self, name: str, slug: str, sent: str) -> None:
        keys = {f"{maker}_API_KEY": "k" for maker in ("MISTRAL", "XAI", "ANTHROPIC", "GEMINI", "DEEPSEEK")}
        (end,) = catalog(**keys).endpoints_of(name)
        assert (end.model.slug, end.upstream_model) == (slug, sent)

    @pytest.mark.parametrize(
        ("name", "first"),
        [
            ("anthropic/claude-sonnet-4.9", "anthropic/claude-sonnet-4."),
            ("openai/gpt-5.7-sol", "openai/gpt-5."),
            ("mistralai/mistral-medium-4", "mistralai/mistral-medium-"),
            ("google/gemini-3.9-flash", "google/gemini-3."),
            ("x-ai/grok-4.8", "x-ai/grok-4."),
        ],
    )
    def test_suggestions_begin_with_what_begins_alike(self, name: str, first: str) -> None:
        with pytest.raises(NotFound) as raised:
            NOBODY.endpoints_of(name)
        (suggested, *_) = msgspec.convert(raised.value.metadata["suggestions"], list[str])
        assert suggested.startswith(first)
