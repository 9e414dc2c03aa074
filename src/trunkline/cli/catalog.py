"""`trunkline models` and `trunkline catalog`: what is known, and newer lists fetched, compared and taken back.

A fetched list replaces the shipped one as a whole; the operator's own entries always lie over it. It is not believed
when it is implausible (`catalog/renewal.py`), and a running gateway reads it at its next start.
"""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from trunkline.app import gather_known, models_in_force, shipped_models
from trunkline.catalog.entries import Endpoint
from trunkline.catalog.gather import read_models
from trunkline.catalog.load import Offer, offers_of
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.renewal import Difference, age_of, compare, described, objections
from trunkline.catalog.rows import ModelsFile
from trunkline.cli.configuration import Config, read_settings
from trunkline.cli.table import table
from trunkline.settings.reading import SettingsError, shown_address
from trunkline.settings.sections import Settings
from trunkline.upstream.http import HttpClient, UpstreamFailure
from trunkline.upstream.patience import Timeouts
from trunkline.wire import UpstreamRequest

MAX_BYTES = 10 * 2**20
"""The largest list that is taken."""

DEADLINE_S = 60.0
SHOWN = 20
"""How many changes of a kind are listed one by one."""

MILLION = Decimal(1_000_000)

CATALOG = typer.Typer(help="Fetch a newer list of models and prices, compare it, take it back.", no_args_is_help=True)


# trunkline models


class Sorting(NamedTuple):
    """How endpoints are put in order, and what the option is called."""

    name: str
    key: Callable[[Offer], Any]


SORTINGS = {
    sorting.name: sorting
    for sorting in (
        Sorting("model", lambda offer: (offer.endpoint.model.slug, offer.endpoint.id)),
        Sorting("price", lambda offer: (_expense(offer.endpoint), offer.endpoint.id)),
        Sorting("context", lambda offer: (-(offer.endpoint.context_tokens or 0), offer.endpoint.id)),
        Sorting("newest", lambda offer: (-offer.endpoint.model.created_at, offer.endpoint.id)),
    )
}


def list_models(
    search: Annotated[str, typer.Argument(help="Text that must be in the model's slug, name or upstream name.")] = "",
    provider: Annotated[list[str] | None, typer.Option(help="Only this provider; may be repeated.")] = None,
    supports: Annotated[list[str] | None, typer.Option(help="Only with this parameter, as tools or reasoning.")] = None,
    reads: Annotated[list[str] | None, typer.Option(help="Only with this input, as image or audio.")] = None,
    writes: Annotated[list[str] | None, typer.Option(help="Only with this output, as image.")] = None,
    min_context: Annotated[int, typer.Option(help="Only with a context of so many tokens.")] = 0,
    max_price: Annotated[str | None, typer.Option(help="Only up to so many USD per million input tokens.")] = None,
    on: Annotated[bool, typer.Option("--on", help="Only what can be called now.")] = False,
    no_price: Annotated[bool, typer.Option("--no-price", help="Only what has no known price.")] = False,
    sort: Annotated[str, typer.Option(help=f"One of {', '.join(SORTINGS)}.")] = "model",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object for each endpoint.")] = False,
    config: Config = None,
) -> None:
    """List every known endpoint – a model at a provider – with its price and context.

    Prices are in USD per million tokens; `on` marks what can be called now.
    """
    settings, _ = read_settings(config)
    known = gather_known(settings)
    if sort not in SORTINGS:
        raise SettingsError([f"--sort is one of {', '.join(SORTINGS)}"])
    slugs = {known.slugs.get(fold_name(name), name) for name in provider or ()}
    most = _price_limit(max_price)
    offers = [
        offer
        for offer in offers_of(known)
        if _is_wanted(offer.endpoint, search.lower(), slugs, supports or (), reads or (), writes or ())
        and (offer.endpoint.context_tokens or 0) >= min_context
        and (most is None or (offer.endpoint.price is not None and offer.endpoint.price.input * MILLION <= most))
        and not (on and offer.obstacle)
        and not (no_price and offer.endpoint.price is not None)
    ]
    offers.sort(key=SORTINGS[sort].key)
    if as_json:
        lines = [json.dumps(endpoint_entry(offer), ensure_ascii=False) for offer in offers]
        typer.echo("[" + ",\n ".join(lines) + "]")
        return
    header = ("MODEL", "PROVIDER", "ON", "IN", "OUT", "CONTEXT", "MAX OUT", "FEATURES")
    for line in table(header, [_row(offer) for offer in offers], "<<<>>>><"):
        typer.echo(line)


def endpoint_entry(offer: Offer) -> dict[str, Any]:
    """Say everything of one endpoint in plain values; prices in USD per million tokens, fees in USD apiece."""
    end = offer.endpoint
    return {
        "id": end.id,
        "model": end.model.slug,
        "name": end.model.name,
        "provider": end.provider.slug,
        "tag": end.tag or end.provider.slug,
        "upstream_model": end.upstream_model,
        "dialect": end.dialect,
        "is_on": not offer.obstacle,
        "obstacle": offer.obstacle or None,
        "price": _price_entry(end),
        "is_disputed": end.is_disputed,
        "context_tokens": end.context_tokens,
        "max_output_tokens": end.max_output_tokens,
        "input_modalities": sorted(end.input_modalities) if end.input_modalities is not None else None,
        "output_modalities": sorted(end.output_modalities),
        "supported_parameters": sorted(end.supports) if end.supports is not None else None,
        "reasoning_efforts": list(end.reasoning_efforts),
        "quantization": end.quantization,
        "is_deprecated": end.is_deprecated,
        "deprecated_on": end.deprecated_on or None,
        "source": end.source,
        "source_date": end.source_date or None,
    }


def _price_entry(end: Endpoint) -> dict[str, Any] | None:
    price = end.price
    if price is None:
        return None
    each = {
        "input": price.input,
        "output": price.output,
        "cache_read": price.cache_read,
        "cache_write": price.cache_write,
        "reasoning": price.reasoning,
        "audio": price.audio_input,
    }
    apiece = {
        "image": price.image_output,
        "image_input": price.image_input,
        "request": price.request,
        "search": price.search,
    }
    entry: dict[str, Any] = {name: _usd(amount * MILLION) for name, amount in each.items() if amount is not None}
    entry |= {name: _usd(amount) for name, amount in apiece.items() if amount}
    if price.tiers:
        entry["tiers"] = [
            {
                "above_input_tokens": tier.above_input_tokens,
                "input": _usd(tier.input * MILLION),
                "output": _usd(tier.output * MILLION),
            }
            for tier in price.tiers
        ]
    return entry


def _row(offer: Offer) -> tuple[str, ...]:
    end, price = offer.endpoint, offer.endpoint.price
    supports = end.supports or frozenset()
    features: list[str] = [word for word in ("tools", "structured_outputs", "reasoning") if word in supports]
    features += sorted((end.input_modalities or frozenset({"text"})) - {"text"})
    features += [f"→{kind}" for kind in sorted(end.output_modalities - {"text"})]
    features += [f"until {end.deprecated_on}"] if end.deprecated_on else ["deprecated"] if end.is_deprecated else []
    return (
        end.model.slug,
        end.tag or end.provider.slug,
        "" if offer.obstacle else "on",
        "–" if price is None else _usd(price.input * MILLION),
        "–" if price is None else _usd(price.output * MILLION),
        "–" if end.context_tokens is None else str(end.context_tokens),
        "–" if end.max_output_tokens is None else str(end.max_output_tokens),
        " ".join(features),
    )


def _is_wanted(
    end: Endpoint,
    search: str,
    providers: set[str],
    supports: Sequence[str],
    reads: Sequence[str],
    writes: Sequence[str],
) -> bool:
    if search and not any(search in text.lower() for text in (end.model.slug, end.model.name, end.upstream_model)):
        return False
    return (
        (not providers or end.provider.slug in providers)
        and (end.supports or frozenset()).issuperset(supports)
        and (end.input_modalities or frozenset()).issuperset(reads)
        and end.output_modalities.issuperset(writes)
    )


def _expense(end: Endpoint) -> Decimal:
    return Decimal("Infinity") if end.price is None else end.price.input + end.price.output


def _price_limit(text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        return Decimal(text)
    except ArithmeticError:
        raise SettingsError([f"--max-price is a number of USD, not {text!r}"]) from None


def _usd(amount: Decimal) -> str:
    return f"{amount.normalize():f}"


# trunkline catalog


class Fetched(NamedTuple):
    """A newer list: its bytes as they came, read, and what the server calls this state of it."""

    data: bytes
    file: ModelsFile
    etag: str


@CATALOG.command()
def update(
    force: Annotated[bool, typer.Option("--force", help="Take it although it is implausible.")] = False,
    config: Config = None,
) -> None:
    """Fetch the list that catalog.url names, check it, and use it from the next start on.

    The list before it is kept; `trunkline catalog rollback` brings it back.
    """
    settings, _ = read_settings(config)
    place = Kept(Path(settings.catalog.file))
    fetched = asyncio.run(_fetch(settings, place.etag(settings.catalog.url or "")))
    if fetched is None:
        typer.echo("nothing new: the server says that the list has not changed")
        return
    present, _ = models_in_force(settings)
    reasons = objections(present, fetched.file)
    if reasons and not force:
        raise SettingsError([f"refused: {reasons[0]}", *reasons[1:SHOWN], "--force takes it all the same"])
    _echo_difference(compare(present, fetched.file))
    place.keep(fetched, settings.catalog.url or "")
    typer.echo(f"kept in {place.path}, of {age_of(fetched.file) or 'an unknown day'}; start the gateway anew to use it")


@CATALOG.command()
def diff(config: Config = None) -> None:
    """Say what `update` would change, and change nothing."""
    settings, _ = read_settings(config)
    fetched = asyncio.run(_fetch(settings, ""))
    present, _ = models_in_force(settings)
    if fetched is not None:
        _echo_difference(compare(present, fetched.file))
        for reason in objections(present, fetched.file):
            typer.echo(f"would be refused: {reason}")


@CATALOG.command()
def rollback(config: Config = None) -> None:
    """Go back to the list before the last update, or to the shipped one if there was none."""
    settings, _ = read_settings(config)
    place = Kept(Path(settings.catalog.file))
    before, _ = models_in_force(settings)
    typer.echo(place.roll_back())
    after, _ = models_in_force(settings)
    _echo_difference(compare(before, after))


@CATALOG.command()
def show(config: Config = None) -> None:
    """Say which list is in force, what it was made from, and how old it is."""
    settings, _ = read_settings(config)
    file, notes = models_in_force(settings)
    is_shipped = file == shipped_models()
    typer.echo("the list that came with this version" if is_shipped else f"the list in {settings.catalog.file}")
    for source in file.sources:
        typer.echo(f"  {source.name} {source.version}".rstrip() + f"  of {source.date}  {source.licence}  {source.url}")
    typer.echo(f"  {len(file.models)} models, {sum(len(model.endpoints) for model in file.models)} endpoints")
    for note in notes:
        typer.echo(f"warning: {note}", err=True)


class Kept:
    """The fetched list on disk, the one before it, and what the server called it.

    Every file is written beside its place and moved there, so that whoever reads finds an old one or a new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._previous = path.with_name(path.name + ".previous")
        self._state = path.with_name(path.name + ".state")

    def etag(self, url: str) -> str:
        """What the server called the list that is kept; empty when it is another server's, or gone."""
        try:
            state = json.loads(self._state.read_text("utf-8"))
        except (OSError, ValueError):
            return ""
        is_here = self.path.exists() and isinstance(state, dict) and state.get("url") == url
        return str(state.get("etag", "")) if is_here else ""

    def keep(self, fetched: Fetched, url: str) -> None:
        """Put a list in force; raises SettingsError when the disk does not let it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.exists():
                _replace(self._previous, self.path.read_bytes())
            _replace(self.path, fetched.data)
            _replace(self._state, json.dumps({"url": url, "etag": fetched.etag}).encode())
        except OSError as error:
            raise SettingsError([f"cannot write {self.path}: {error.strerror}; set catalog.file"]) from None

    def roll_back(self) -> str:
        """Undo the last `keep`, and say what is in force then."""
        self._state.unlink(missing_ok=True)
        if self._previous.exists():
            os.replace(self._previous, self.path)
            return f"back to the list before, in {self.path}"
        if self.path.exists():
            self.path.unlink()
            return "back to the list that came with this version"
        raise SettingsError(["there is nothing to go back to: the list that came with this version is in force"])


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


async def _fetch(settings: Settings, etag: str) -> Fetched | None:
    """Fetch the list; None when the server knows no newer one than `etag`. Raises SettingsError."""
    url = settings.catalog.url
    if url is None:
        raise SettingsError(
            ["set catalog.url to the address of a newer models.json; until then the shipped one is used"]
        )
    headers = {"accept": "application/json"} | ({"if-none-match": etag} if etag else {})
    client = HttpClient(Timeouts(10.0, DEADLINE_S, DEADLINE_S))
    client.open()
    try:
        reply = await client.send(UpstreamRequest("GET", url, headers, b""), time.monotonic() + DEADLINE_S)
        if reply.status == 304:
            reply.close()
            return None
        data = await reply.body(MAX_BYTES + 1)
        reply.close()
    except UpstreamFailure as failure:
        raise SettingsError([f"cannot fetch {shown_address(url)}: {failure.fault.message}"]) from None
    finally:
        await client.close()
    if reply.status != 200:
        raise SettingsError([f"cannot fetch {shown_address(url)}: the server answers {reply.status}"])
    if len(data) > MAX_BYTES:
        raise SettingsError([f"refused: {shown_address(url)} is larger than {MAX_BYTES // 2**20} MiB"])
    try:
        return Fetched(data, read_models(data), reply.headers.get("etag", ""))
    except ValueError as error:
        raise SettingsError([f"refused: what {shown_address(url)} gives cannot be used: {error}"]) from None


def _echo_difference(difference: Difference) -> None:
    if difference.is_empty:
        typer.echo("no difference")
        return
    for line in _difference_lines(difference):
        typer.echo(line)


def _difference_lines(difference: Difference) -> Iterator[str]:
    yield (
        f"{len(difference.added)} endpoints added, {len(difference.removed)} removed, "
        f"{len(difference.repriced)} with another price, {difference.kept} in both"
    )
    for sign, places in (("+", difference.added), ("-", difference.removed)):
        for model, provider, tag in places[:SHOWN]:
            yield f"  {sign} {model} at {tag or provider}"
        if len(places) > SHOWN:
            yield f"  {sign} … and {len(places) - SHOWN} more"
    for change in difference.repriced[:SHOWN]:
        model, provider, tag = change.place
        yield f"  $ {model} at {tag or provider}: {described(change.before)} → {described(change.after)}"
    if len(difference.repriced) > SHOWN:
        yield f"  $ … and {len(difference.repriced) - SHOWN} more"
