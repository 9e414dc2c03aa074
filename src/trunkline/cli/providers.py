"""`trunkline providers`: who can be asked, on or off and why, and whether one that is on works."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from trunkline.catalog.entries import Catalog, DataPolicy, Endpoint, Provider, Standing
from trunkline.catalog.lookup import fold_name
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.start import load
from trunkline.cli.table import table
from trunkline.cli.tree import tree_of
from trunkline.inventory import gather_known, load_catalog, shipped_models
from trunkline.settings.reading import SettingsError, build_settings, read_sources, shown_address, suggestion

PROVIDERS = typer.Typer(help="List the providers, on and off, and try one out.")
TREE = tree_of(PROVIDERS, "providers")


@PROVIDERS.callback(invoke_without_command=True)
def list_providers(
    context: typer.Context,
    on: Annotated[bool, typer.Option("--on", metavar="", help="Only those that are on.")] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """List every provider: whether it is on, its dialect, key variable, data policy and number of endpoints."""
    if context.invoked_subcommand is not None:
        return
    settings, _ = read_settings(config)
    known = gather_known(settings)
    counts = Counter(entry.row.provider for entry in known.entries)
    standings = [standing for standing in known.standings.values() if standing.is_on or not on]
    if as_json:
        entries = [provider_entry(standing, counts[standing.provider.slug]) for standing in standings]
        typer.echo(json.dumps(entries, indent=1, ensure_ascii=False))
        return
    header = ("PROVIDER", "NAME", "ON", "DIALECT", "KEY", "POLICY", "MODELS", "REASON")
    for line in table(header, [_row(standing, counts[standing.provider.slug]) for standing in standings], "<<<<<<>"):
        typer.echo(line)
    typer.echo(counted([counts[standing.provider.slug] for standing in standings]))


@PROVIDERS.command("show")
def show_provider(
    name: Annotated[str, typer.Argument(help="The provider's slug or name.")],
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Print JSON.")] = False,
    config: Config = None,
) -> None:
    """Say where a provider is and what becomes of prompts there."""
    settings, _ = read_settings(config)
    known = gather_known(settings)
    slug = known.slugs.get(fold_name(name))
    if slug is None:
        raise SettingsError([f"there is no provider {name!r}{suggestion(name, list(known.standings))}"])
    standing = known.standings[slug]
    count = sum(entry.row.provider == slug for entry in known.entries)
    if as_json:
        typer.echo(json.dumps(provider_entry(standing, count), indent=1, ensure_ascii=False))
        return
    for what, told in _told(standing, count):
        typer.echo(f"{what:12}  {told}")


@PROVIDERS.command("probe")
def probe_provider(
    name: Annotated[str, typer.Argument(help="The provider's slug or name.")],
    model: Annotated[str | None, typer.Option(help="The model to ask; a cheap one when absent.")] = None,
    config: Config = None,
) -> None:
    """Ask a provider for a few tokens, and say what works there.

    Its key, streaming, tools, schema and usage are tried. Ends with 1 when something does not.
    """
    settings, _ = read_settings(config)
    catalog = load_catalog(settings)
    endpoint = _endpoint(catalog, name, model)
    typer.echo(f"{endpoint.provider.slug}: {endpoint.model.slug} as {endpoint.upstream_model}")
    typer.echo(f"  {endpoint.dialect} at {shown_address(endpoint.base_url)}")
    findings = asyncio.run(load("trunkline.cli.probing").probe_with(settings, catalog, endpoint))
    for line in table(("WHAT", "WORKS", "SEEN"), findings):
        typer.echo(f"  {line}")
    if any(finding.works == "no" for finding in findings):
        raise typer.Exit(1)


def provider_entry(standing: Standing, endpoints: int) -> dict[str, Any]:
    """Say everything of one provider in plain values; no key is among them."""
    provider = standing.provider
    return {
        "slug": provider.slug,
        "name": provider.name,
        "is_on": standing.is_on,
        "reason": standing.reason,
        "dialects": list(provider.base_urls),
        "base_urls": {dialect: shown_address(url) for dialect, url in provider.base_urls.items()},
        "url_variables": list(provider.url_variables),
        "credential_scheme": provider.credential.scheme,
        "key_variables": list(provider.credential.variables),
        "data_policy": {
            "trains": provider.data_policy.trains,
            "zdr": provider.data_policy.zdr,
            "retains_days": provider.data_policy.retains_days,
            "sources": list(provider.data_policy.sources),
            "seen": provider.data_policy.seen or None,
            "models": list(provider.data_policy.models),
            "told_by_operator": sorted(provider.data_policy.told),
        },
        "region": provider.region,
        "headquarters": provider.headquarters,
        "status": provider.status,
        "note": provider.note,
        "endpoints": endpoints,
        "unlisted": None if endpoints else provider.unlisted or None,
    }


def policy_words(policy: DataPolicy) -> str:
    """Say in a few words what becomes of prompts."""
    if policy.trains:
        return "trains on prompts"
    kept = {None: "", 0: "keeps nothing"}.get(policy.retains_days, f"keeps {policy.retains_days} d")
    kept = "zero retention" if policy.zdr else kept or ("keeps prompts" if policy.zdr is False else "")
    trains = "no training" if policy.trains is False else ""
    return ", ".join(words for words in (trains, kept) if words) or "unknown"


def counted(endpoints: Sequence[int]) -> str:
    """Say how many providers have models, and how many want endpoints of the operator's own first."""
    bare = sum(not each for each in endpoints)
    return f"{len(endpoints) - bare} providers with models, {bare} need your own [[endpoints]]"


def _told(standing: Standing, endpoints: int) -> Iterator[tuple[str, str]]:
    provider, policy = standing.provider, standing.provider.data_policy
    yield "provider", f"{provider.slug} ({provider.name})"
    yield "on" if standing.is_on else "off", standing.reason
    for dialect, url in provider.base_urls.items():
        yield dialect, shown_address(url)
    yield "key", " or ".join(provider.credential.variables) or "–"
    yield "prompts", policy_words(policy)
    for source in policy.sources:
        yield "says", f"{source}, read {policy.seen}"
    if policy.told:
        yield "says", f"your data_policy of it ({', '.join(sorted(policy.told))})"
    if not policy.sources and not policy.told and provider.status != "internal":
        yield "says", "no document of the provider was found; what is not known counts as the worst"
    if policy.models:
        yield "of models", " ".join(policy.models)
    yield "models", str(endpoints) if endpoints else _missing(provider)
    if provider.note:
        yield "note", provider.note


def _missing(provider: Provider) -> str:
    return f"none: {provider.unlisted or 'no list names any'}; add [[endpoints]]"


def providers_page() -> str:
    """Write the reference of the shipped providers, as Markdown; the machine's keys have no part in it."""
    known = gather_known(build_settings(read_sources()))
    counts = Counter(row.provider for model in shipped_models().models for row in model.endpoints)
    counts.update(entry.row.provider for entry in known.entries if entry.row.source == "trunkline")
    rows = "\n".join(_page_row(standing, counts) for standing in known.standings.values())
    return _INTRODUCTION.format(counted=counted([counts[slug] for slug in known.standings])) + rows + "\n"


_INTRODUCTION = """\
# Providers

This page is made from `catalog/providers.toml` by `trunkline docs providers`; do not edit it.

A provider is on when its key is in the environment, or in `[providers.<slug>]` of the settings. In requests slug and
name are interchangeable, whatever their case. The first dialect is the one spoken unless a model needs another.
*Policy* is what the provider itself publishes for anyone, with its document and the day it was read. Without a document
nothing favourable is said, and requests with `data_collection: "deny"` or `zdr: true` pass the provider by: an operator
with a contract of their own sets `[providers.<slug>.data_policy]`. `trunkline providers` shows the state on a machine,
`trunkline providers show` everything of one, and `trunkline providers probe` tries one out. How to add one:
[add a provider](../how-to/add-a-provider.md).

Shipped: {counted}.

| name | slug | dialects | key | address needs | policy | policy's source | region | models | note |
|---|---|---|---|---|---|---|---|---|---|
"""


def _page_row(standing: Standing, counts: Counter[str]) -> str:
    provider = standing.provider
    status = "" if provider.status == "active" else f"*{provider.status}.* "
    cells = (
        provider.name,
        f"`{provider.slug}`",
        ", ".join(provider.base_urls) or "–",
        " or ".join(f"`{name}`" for name in provider.credential.variables) or "none",
        ", ".join(provider.url_variables) or "–",
        _page_policy(provider.data_policy),
        "–" if provider.status == "internal" else _page_sources(provider.data_policy),
        provider.region or "–",
        str(counts[provider.slug] or _missing(provider)),
        f"{status}{provider.note}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _page_policy(policy: DataPolicy) -> str:
    models = f", of {' '.join(f'`{glob}`' for glob in policy.models)}" if policy.models else ""
    return policy_words(policy) + models


def _page_sources(policy: DataPolicy) -> str:
    links = ", ".join(f"[{urlsplit(source).hostname}]({source})" for source in policy.sources)
    return f"{links}, {policy.seen}" if links else "none found"


def _row(standing: Standing, endpoints: int) -> tuple[str, ...]:
    provider = standing.provider
    return (
        provider.slug,
        provider.name,
        "on" if standing.is_on else "",
        next(iter(provider.base_urls), "–"),
        next(iter(provider.credential.variables), "–"),
        policy_words(provider.data_policy),
        str(endpoints or "–"),
        standing.reason,
    )


def _endpoint(catalog: Catalog, name: str, model: str | None) -> Endpoint:
    """Choose whom to ask; raises SettingsError."""
    slug = catalog.provider_slug(name)
    standing = catalog.standings.get(slug)
    if standing is None:
        raise SettingsError([f"there is no provider {name!r}{suggestion(slug, list(catalog.standings))}"])
    if not standing.is_on:
        raise SettingsError([f"{slug} is off: {standing.reason}"])
    found = [end for ends in catalog.endpoints.values() for end in ends if end.provider.slug == slug]
    if model is not None:
        found = [end for end in found if model.lower() in (end.model.slug, end.upstream_model.lower())]
    if not found:
        of = f"no model {model}" if model else "no model"
        raise SettingsError([f"{slug} has {of} here; see `trunkline models --provider {slug}`"])
    return likeliest(found)


def likeliest(endpoints: Sequence[Endpoint]) -> Endpoint:
    """Choose the endpoint for a first try: it writes, takes tools, is surely served, and costs little.

    models.dev and the providers' own lists follow what is served; the other lists also keep what was once served.
    """
    return min(endpoints, key=_preference)


def _preference(end: Endpoint) -> tuple[bool, bool, bool, bool, Decimal, str]:
    price = Decimal("Infinity") if end.price is None else end.price.input + end.price.output
    return (
        "text" not in end.output_modalities,
        end.is_deprecated,
        not end.source.startswith(("operator", "models.dev", "trunkline", "the list of ")),
        end.supports is not None and "tools" not in end.supports,
        price,
        end.id,
    )
