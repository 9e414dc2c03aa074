"""Provider rows, the operator's entries and the environment → which providers are on, with which key, or why not.

Whether a provider's key is any good is not asked: nothing is called. Models and endpoints are `load.py`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from trunkline.catalog.entries import CredentialScheme, CredentialSpec, DataPolicy, Dialect, Provider, Standing
from trunkline.catalog.lookup import fold_name
from trunkline.catalog.quirks import Quirks, overlaid
from trunkline.catalog.rows import ProviderRow
from trunkline.protocol.addresses import is_public_host
from trunkline.settings.fields import SecretSource, present
from trunkline.settings.forms import Json
from trunkline.settings.reading import suggestion
from trunkline.settings.secret import Secret
from trunkline.settings.sections import ProviderSettings

ReadFile: TypeAlias = Callable[[str], str]
"""Path → text; raises OSError."""

DIALECTS: tuple[Dialect, ...] = get_args(Dialect)
SCHEMES: tuple[CredentialScheme, ...] = get_args(CredentialScheme)

_PROVIDER_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
_BRACE = re.compile(r"\{(\w+)\}")
_UNSENDABLE = re.compile(r"[^\x21-\x7e]")

_SELF_FINDING: frozenset[CredentialScheme] = frozenset({"sigv4", "google"})
"""Schemes whose libraries look for a credential themselves: on the machine, in files, in a role.

Not among them is `azure`: its three variables are all there is to find, and one of them counts as the key.
"""


class Surroundings(Struct, frozen=True):
    """What a catalog is made in: the machine's environment and files, and what this version can speak and sign."""

    environ: Mapping[str, str]
    read_file: ReadFile
    dialects: Collection[str]
    schemes: Collection[str]


def provider_slugs(
    rows: Mapping[str, ProviderRow], given: Mapping[str, ProviderSettings], problems: list[str]
) -> dict[str, str]:
    """Map every folded slug and name to its slug, the operator's new providers included."""
    slugs = {fold_name(slug): slug for slug in rows} | {fold_name(row.name): slug for slug, row in rows.items()}
    spelled: dict[str, str] = {}
    for name, entry in given.items():
        other = spelled.setdefault(slugs.get(fold_name(name), name), name)
        if other != name:
            problems.append(f"providers.{name} is the same provider as providers.{other}; write one table")
        if fold_name(name) in slugs:
            continue
        if entry.dialect is None or entry.base_url is None:
            near = suggestion(name, list(rows))
            problems.append(
                f"providers.{name}: not a known provider, and a private one needs dialect and base_url{near}"
            )
        elif not _PROVIDER_SLUG.fullmatch(name):
            problems.append(f"providers.{name}: a provider's slug has lower-case letters, digits and hyphens only")
        slugs[fold_name(name)] = name
        slugs.setdefault(fold_name(entry.name or name), name)
    return slugs


def changed_row(slug: str, row: ProviderRow | None, entry: ProviderSettings, problems: list[str]) -> ProviderRow:
    """Lay one operator's entry over its row, or make a row of it."""
    where = f"providers.{slug}"
    if entry.dialect is not None and entry.dialect not in DIALECTS:
        problems.append(f"{where}.dialect: unknown dialect {entry.dialect!r}{suggestion(entry.dialect, DIALECTS)}")
        return row or ProviderRow(name=slug)
    if row is None:
        row = ProviderRow(name=slug, scheme="none" if entry.api_key is None else "bearer")
    policy = present(entry.data_policy)
    quirks = laid_over(row.quirks, entry.quirks, f"{where}.quirks", problems)
    # What an operator says holds in every dialect.
    quirks_in = {
        dialect: {name: value for name, value in own.items() if name not in entry.quirks}
        for dialect, own in row.quirks_in.items()
    }
    return replace(
        row,
        name=entry.name or row.name,
        urls=_changed_urls(row.urls, entry),
        scheme=entry.credential_scheme or row.scheme,
        header=entry.credential_name or row.header,
        quirks=replace(quirks, extra_headers={**quirks.extra_headers, **entry.headers}),
        quirks_in=quirks_in,
        region=entry.region or row.region,
        **policy,
    )


def laid_over(quirks: Quirks, given: Mapping[str, Json], where: str, problems: list[str]) -> Quirks:
    """Replace the quirks that an operator names."""
    known = Quirks.__struct_fields__
    unknown = [name for name in given if name not in known]
    problems.extend(f"{where}: unknown quirk {name!r}{suggestion(name, known)}" for name in unknown)
    try:
        return overlaid(quirks, given)
    except msgspec.ValidationError as error:
        problems.append(f"{where}: {error}")
        return quirks


def _changed_urls(urls: dict[Dialect, str], entry: ProviderSettings) -> dict[Dialect, str]:
    preferred: Dialect = msgspec.convert(entry.dialect or next(iter(urls), "chat"), Dialect)
    if entry.base_url is not None:
        # The known addresses of the other dialects go: what is meant for a private host must not leave it.
        return {preferred: entry.base_url.rstrip("/")}
    return {preferred: urls[preferred], **urls} if preferred in urls else urls


def standings_of(
    rows: Mapping[str, ProviderRow], given: Mapping[str, ProviderSettings], around: Surroundings
) -> dict[str, Standing]:
    """Decide for every provider whether it is on.

    An internal one is only when no other is and the operator names none: a file whose secrets are missing must not make
    a gateway that looks well and can only echo. Its models answer by their names in any case.
    """
    nothing = ProviderSettings()
    standings = {slug: _standing(slug, row, given.get(slug, nothing), around) for slug, row in rows.items()}
    internal = [slug for slug, row in rows.items() if row.status == "internal"]
    is_alone = not any(standing.is_on for slug, standing in standings.items() if slug not in internal)
    is_named = any(slug not in internal and entry.enabled is not False for slug, entry in given.items())
    for slug in internal:
        if given.get(slug, nothing).enabled is None and standings[slug].is_on:
            steps_in = is_alone and not is_named
            other = "the settings name a provider" if is_alone else "another provider is on"
            aside = f"{other}; its models answer by their exact names; providers.{slug}.enabled = true lists them too"
            standings[slug] = replace(
                standings[slug],
                is_on=steps_in,
                answers_by_name=not steps_in,
                reason="no other provider is on" if steps_in else aside,
            )
    return standings


def _standing(slug: str, row: ProviderRow, entry: ProviderSettings, around: Surroundings) -> Standing:
    urls, unfilled = _filled(row, entry.variables, around.environ)
    provider = Provider(
        slug=slug,
        name=row.name or slug,
        base_urls=urls,
        url_variables=tuple(row.url_variables),
        credential=CredentialSpec(row.scheme, row.header, row.variables),
        quirks=_at_home(row.quirks, urls, entry),
        dialect_quirks={dialect: _at_home(quirks, urls, entry) for dialect, quirks in row.dialect_quirks().items()},
        data_policy=_policy(row, entry),
        prompt_caching=entry.prompt_caching or "auto",
        region=row.region,
        headquarters=row.headquarters,
        status=row.status,
        unlisted=row.unlisted,
        note=row.note,
        concurrency=entry.concurrency,
        requests_per_minute=entry.requests_per_minute,
    )
    secret, found = _credential(row, entry, around)
    obstacle = _obstacle(slug, row, entry, around, unfilled)
    if not row.urls:
        obstacle = f"it has no public address; set base_url, dialect and api_key in providers.{slug}"
    if entry.enabled is False:
        obstacle = "turned off in the settings"
    lacks_key = secret is None and row.scheme != "none"
    reason = found if lacks_key and row.urls and entry.enabled is not False else obstacle or found
    return Standing(
        provider=provider,
        is_on=not obstacle and not lacks_key,
        reason=reason,
        secret=secret,
        obstacle=obstacle,
        hidden=tuple(map(Secret, (*entry.headers.values(), *header_values(entry.quirks)))),
    )


def read_key(source: SecretSource, around: Surroundings) -> tuple[Secret | None, str]:
    """Read a key that is sent in a header, and say where it was found or why not. A blank one is none at all."""
    text, found, missing = _revealed(source, around)
    if not text:
        return None, missing
    return (None, _unsendable(found)) if _UNSENDABLE.search(text) else (Secret(text), found)


class EngineKey(Struct, frozen=True):
    """The key of an engine that the gateway asks beside providers; without the one it needs an engine is off."""

    secret: Secret | None
    is_on: bool
    reason: str


def find_engine_key(source: SecretSource | None, around: Surroundings) -> EngineKey:
    """Look for the key of an engine; None is one that needs none."""
    if source is None:
        return EngineKey(None, True, "needs no key")
    secret, reason = read_key(source, around)
    return EngineKey(secret, secret is not None, reason)


def _policy(row: ProviderRow, entry: ProviderSettings) -> DataPolicy:
    """What becomes of prompts, by the provider's documents and the operator's entry, which is in the row already."""
    told = frozenset(present(entry.data_policy))
    claims = {"trains": row.trains, "zdr": row.zdr, "retains_days": row.retains_days}
    is_documented = any(claim is not None and name not in told for name, claim in claims.items())
    return DataPolicy(
        trains=row.trains,
        zdr=row.zdr,
        retains_days=row.retains_days,
        sources=row.policy_sources if is_documented else (),
        seen=row.policy_seen if is_documented else "",
        models=row.policy_models,
        told=told,
    )


def header_values(quirks: Mapping[str, Json]) -> list[str]:
    """List the values of the fixed headers among an operator's quirks."""
    given = quirks.get("extra_headers")
    return [value for value in given.values() if isinstance(value, str)] if isinstance(given, Mapping) else []


def _at_home(quirks: Quirks, urls: Mapping[Dialect, str], entry: ProviderSettings) -> Quirks:
    """Keep a server in the operator's own network from following a client's links: it could reach its neighbours."""
    if "image_urls" in entry.quirks or all(map(_is_away, urls.values())):
        return quirks
    return replace(quirks, image_urls="inline")


def _is_away(url: str) -> bool:
    try:
        place = urlsplit(url)
    except ValueError:
        return False
    return place.scheme == "fake" or is_public_host(place.hostname or "")


def _obstacle(
    slug: str, row: ProviderRow, entry: ProviderSettings, around: Surroundings, unfilled: Sequence[str]
) -> str:
    """Say what keeps a provider with a credential from being called; empty if nothing does."""
    if not any(dialect in around.dialects for dialect in row.urls):
        return f"this version does not speak its dialect ({', '.join(row.urls)})"
    if row.scheme not in around.schemes:
        return f"this version cannot sign for it ({row.scheme})"
    if row.scheme in ("header", "query") and not row.header:
        return f"set providers.{slug}.credential_name to the name of its {row.scheme}"
    if unfilled:
        ways = (f"providers.{slug}.variables.{name}{_or_variables(row, name)}" for name in unfilled)
        return f"its address is not complete; set {' and '.join(ways)}"
    return ""


def _or_variables(row: ProviderRow, brace: str) -> str:
    return "".join(f" or {variable}" for variable in row.url_variables.get(brace, ())[:1])


def _filled(
    row: ProviderRow, variables: Mapping[str, str], environ: Mapping[str, str]
) -> tuple[dict[Dialect, str], list[str]]:
    """Fill the braces of a provider's addresses; also list those nothing is known for."""
    names = sorted({name for url in row.urls.values() for name in _BRACE.findall(url)})
    values = {name: variables.get(name) or _first(environ, row.url_variables.get(name, ()))[1] for name in names}
    unfilled = [name for name in names if not values[name]]
    fill = {name: value or f"{{{name}}}" for name, value in values.items()}
    urls = row.urls
    for name, unmarked in row.url_unmarked.items():
        if values.get(name) == unmarked:
            urls = {dialect: url.replace(f"//{{{name}}}-", "//") for dialect, url in urls.items()}
    return {dialect: _BRACE.sub(lambda brace: fill[brace[1]], url) for dialect, url in urls.items()}, unfilled


def _credential(row: ProviderRow, entry: ProviderSettings, around: Surroundings) -> tuple[Secret | None, str]:
    """Find a provider's key, and say where it was found or why not. A blank one is none at all (CF-05).

    The key is an empty text where a library will look for it.
    """
    if row.scheme == "none":
        return None, "needs no key"
    if entry.api_key is None:
        variable, text = _first(around.environ, row.variables)
        found = f"key from {variable}"
        missing = f"no key; set {row.variables[0]}" if row.variables else "no key; set its api_key"
        if lacking := [name for name in row.companions.get(variable, ()) if not _first(around.environ, [name])[1]]:
            return None, f"{variable} is of use only beside {' and '.join(lacking)}; set that too"
        if not text and entry.enabled and row.scheme in _SELF_FINDING:
            return Secret(""), "its key is looked for on this machine"
    else:
        text, found, missing = _revealed(entry.api_key, around)
    if not text:
        return None, missing
    if row.scheme != "google" and _UNSENDABLE.search(text):
        return None, _unsendable(found)
    return Secret(text), found


def _unsendable(found: str) -> str:
    return f"the {found} has white space or characters that no header can carry"


def _revealed(source: SecretSource, around: Surroundings) -> tuple[str, str, str]:
    """Read a secret: its text, where it is from, and what to say if it is blank."""
    if source.env is not None:
        text = around.environ.get(source.env, "")
        return text.strip(), f"key from {source.env}", f"{source.env} is not set or empty; set it to the key"
    if source.file is not None:
        try:
            text = around.read_file(source.file)
        except (OSError, UnicodeDecodeError) as error:
            return "", "", f"cannot read {source.file} ({type(error).__name__}); put the key there"
        return text.strip(), f"key from {source.file}", f"{source.file} is empty; put the key there"
    text = source.inline.reveal() if source.inline is not None else ""
    return text.strip(), "key from the settings", "its api_key is empty; set it"


def _first(environ: Mapping[str, str], names: Iterable[str]) -> tuple[str, str]:
    """Find the first variable that is set and not blank."""
    return next(((name, text) for name in names if (text := environ.get(name, "").strip())), ("", ""))
