"""`trunkline providers`: who can be asked, on or off and why, and whether one that is on works."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Any

import typer

from trunkline.app import asking, gather_known, load_catalog, shipped_models
from trunkline.catalog.entries import Catalog, DataPolicy, Endpoint, Standing
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.probing import probe
from trunkline.cli.table import table
from trunkline.settings.reading import SettingsError, build_settings, read_sources, shown_address, suggestion
from trunkline.settings.sections import Settings

PROVIDERS = typer.Typer(help="List the providers, on and off, and try one out.")


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


@PROVIDERS.command("probe")
def probe_provider(
    name: Annotated[str, typer.Argument(help="The provider's slug or name.")],
    model: Annotated[str | None, typer.Option(help="The model to ask; a cheap one when absent.")] = None,
    config: Config = None,
) -> None:
    """Ask a provider for a few tokens to tell whether key, streaming, tools, schema and usage work there.

    Ends with 1 when something does not.
    """
    settings, _ = read_settings(config)
    catalog = load_catalog(settings)
    endpoint = _endpoint(catalog, name, model)
    typer.echo(f"{endpoint.provider.slug}: {endpoint.model.slug} as {endpoint.upstream_model}")
    typer.echo(f"  {endpoint.dialect} at {shown_address(endpoint.base_url)}")
    findings = asyncio.run(_probe(settings, catalog, endpoint))
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
        },
        "region": provider.region,
        "headquarters": provider.headquarters,
        "status": provider.status,
        "note": provider.note,
        "endpoints": endpoints,
    }


def policy_words(policy: DataPolicy) -> str:
    """Say in a few words what becomes of prompts."""
    if policy.trains:
        return "trains on prompts"
    kept = {None: "", 0: "keeps nothing"}.get(policy.retains_days, f"keeps {policy.retains_days} d")
    kept = "zero retention" if policy.zdr else kept
    trains = "no training" if policy.trains is False else ""
    return ", ".join(words for words in (trains, kept) if words) or "unknown"


def providers_page() -> str:
    """Write the reference of the shipped providers, as Markdown; the machine's keys have no part in it."""
    known = gather_known(build_settings(read_sources()))
    counts = Counter(row.provider for model in shipped_models().models for row in model.endpoints)
    rows = "\n".join(_page_row(standing, counts) for standing in known.standings.values())
    return _INTRODUCTION + rows + "\n"


_INTRODUCTION = """\
# Providers

This page is made from `catalog/providers.toml` by `trunkline docs providers`; do not edit it.

A provider is on when its key is in the environment, or in `[providers.<slug>]` of the settings. In requests slug and
name are interchangeable, whatever their case. The first dialect is the one spoken unless a model needs another.
*Policy* is what the provider publishes, taken as a default: an operator with a contract of their own sets
`[providers.<slug>.data_policy]`. `trunkline providers` shows the state on a machine, and `trunkline providers probe`
tries one out. How to add one: [add a provider](../how-to/add-a-provider.md).

| name | slug | dialects | key | address needs | policy | region | models | note |
|---|---|---|---|---|---|---|---|---|
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
        policy_words(provider.data_policy),
        provider.region or "–",
        str(counts[provider.slug]),
        f"{status}{provider.note}",
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _row(standing: Standing, endpoints: int) -> tuple[str, ...]:
    provider = standing.provider
    return (
        provider.slug,
        provider.name,
        "on" if standing.is_on else "",
        next(iter(provider.base_urls), "–"),
        next(iter(provider.credential.variables), "–"),
        policy_words(provider.data_policy),
        str(endpoints),
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

    models.dev follows what providers serve; the other lists also keep what was once served.
    """
    return min(endpoints, key=_preference)


def _preference(end: Endpoint) -> tuple[bool, bool, bool, bool, Decimal, str]:
    price = Decimal("Infinity") if end.price is None else end.price.input + end.price.output
    return (
        "text" not in end.output_modalities,
        end.is_deprecated,
        not end.source.startswith(("operator", "models.dev", "trunkline")),
        end.supports is not None and "tools" not in end.supports,
        price,
        end.id,
    )


async def _probe(settings: Settings, catalog: Catalog, endpoint: Endpoint) -> list[Any]:
    async with asking(settings, catalog) as upstream:
        return list(await probe(endpoint, upstream))
