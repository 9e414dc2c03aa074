"""What an operator may set: every name, its unit, its default and its meaning.

Layers of plain values come in (command line, environment, file), one frozen `Settings` comes out, and each value can
be asked where it came from. This module does not read a file or the environment: both are handed to it as values. It
does not know which providers, dialects or quirks exist; `catalog/load.py` checks those names. The docstring under
each field is its entry in `docs/reference/settings.md`.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import reduce
from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, SettingsConfigDict

Json: TypeAlias = Any
Path: TypeAlias = tuple[str | int, ...]
Layer: TypeAlias = Mapping[str, Json]
"""Nested plain values, as `{"server": {"listen": "0.0.0.0:8080"}}`."""

ENVIRONMENT_PREFIX = "TRUNKLINE_"
NOT_SETTINGS = frozenset({"TRUNKLINE_CONFIG"})
"""Variables with our prefix that the command line reads itself."""

_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_QUANTITY = re.compile(r"\s*([0-9]{1,12}(?:\.[0-9]{1,9})?)\s*([A-Za-z]+)\s*")
_MINUTE = 60.0


def parse_duration(value: object) -> float:
    """Read `"10 min"` as seconds; a bare 0 is allowed because it has no unit to forget.

    Raises ValueError.
    """
    return _parse_quantity(value, _SECONDS, '"500 ms", "10 s", "10 min", "1 h"', str.lower)


def parse_size(value: object) -> int:
    """Read `"20 MB"` as bytes: MB is a million, MiB is 2 to the 20th.

    Raises ValueError.
    """
    return int(_parse_quantity(value, _BYTES, '"512 KB", "20 MB", "20 MiB"', str.upper))


def parse_usd(value: object) -> Decimal:
    """Read `"0.15"`; a float is refused, because no binary fraction is exactly 0.15.

    Raises ValueError.
    """
    try:
        usd = Decimal(value) if isinstance(value, str) or type(value) is int else None
    except InvalidOperation:
        usd = None
    if usd is None:
        raise ValueError('write the price as a string, as "0.15"')
    if not usd.is_finite() or usd < 0:
        raise ValueError(f"a price is a finite number and not below zero, not {value}")
    return usd


def format_duration(seconds: float) -> str:
    """Write seconds in the largest unit that keeps them a whole number."""
    for unit in ("d", "h", "min", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f} {unit}"
    return f"{seconds * 1000:.6f}".rstrip("0").rstrip(".") + " ms" if seconds else "0"


def format_size(size: int) -> str:
    """Write bytes in the largest unit that keeps them a whole number."""
    for unit, written in (("GIB", "GiB"), ("GB", "GB"), ("MIB", "MiB"), ("MB", "MB"), ("KIB", "KiB"), ("KB", "KB")):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]} {written}"
    return f"{size} B"


def _parse_quantity(value: object, units: Mapping[str, float], examples: str, fold: Any) -> float:
    if value in (0, "0") and not isinstance(value, bool):
        return 0
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    factor = units.get(fold(match[2])) if match else None
    if match is None or factor is None:
        raise ValueError(f"write a number and its unit, as {examples}")
    return float(match[1]) * factor


def _secret_source(value: object) -> object:
    return {"inline": value} if isinstance(value, str) else value


Duration = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration), Field(gt=0)]
Pause = Annotated[float, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
"""A duration that may be 0."""
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size), Field(gt=0)]
Usd = Annotated[Decimal, BeforeValidator(parse_usd), PlainSerializer(str)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Slug = Annotated[str, Field(min_length=1, max_length=256)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class SecretSource(Section):
    """Where a secret is found: exactly one of the three. A plain string counts as `inline`."""

    env: str | None = None
    """The name of an environment variable."""

    file: str | None = None
    """The path of a file whose text, without the white space around it, is the secret."""

    inline: SecretStr | None = None
    """The secret itself. Prefer `env` or `file`: configuration files are copied about."""

    def model_post_init(self, context: object) -> None:
        if sum(place is not None for place in (self.env, self.file, self.inline)) != 1:
            raise ValueError('name one place, as { env = "NAME" } or { file = "/run/secrets/name" }')


SecretField = Annotated[SecretSource, BeforeValidator(_secret_source)]


class ServerSettings(Section):
    """The HTTP face."""

    listen: str = Field(default="127.0.0.1:8080", pattern=r"^(\[[0-9A-Fa-f:.]+\]|[^:\s]+):[0-9]{1,5}$")
    """Address and port to listen on. `0.0.0.0:8080` takes calls from other machines. Needs a restart."""

    max_body: Size = 20 * 10**6
    """The largest request body."""

    body_memory: Size = 256 * 10**6
    """How many bytes the bodies of all requests under way may have together, not less than `max_body`. One more gets
    a 503. What is made of a body, and of it for a provider, takes memory too: count on three times as much. Needs a
    restart."""

    deadline: Duration = 10 * _MINUTE
    """The longest a request may take, from its first byte to the last one of its answer."""

    header_timeout: Duration = 10.0
    """How long a client may take to send the head of a request; then its connection is closed. Needs a restart."""

    body_timeout: Duration = 30.0
    """How long a client may take to send a megabyte of a request body, or all of a smaller one; then it gets a 408."""

    whole_body_timeout: Duration = 2 * _MINUTE
    """How long a client may take to send all of a request body, however large; then it gets a 408."""

    write_timeout: Duration = 60.0
    """How long a client may leave an answer unread, not taking one byte of it; then its connection is cut and what
    was asked upstream with it. Needs a restart."""

    idle_timeout: Duration = 75.0
    """How long an unused connection is kept open. Keep it above that of a proxy in front. Needs a restart."""

    max_connections: int = Field(default=10_000, gt=0)
    """How many clients may be connected. One more takes the place of the one that has been idle longest; when all are
    busy it gets a 503. Keep it below the limit of open files (`ulimit -n`), less one for each call to a provider.
    Needs a restart."""

    keep_alive: Pause = 10.0
    """After this much silence in a stream a comment is sent, so that proxies keep it open; 0 turns that off."""

    grace: Pause = 10.0
    """How long a stream waits for its first output before its head is sent all the same, with status 200."""

    open_listings: bool = True
    """Whether models, providers and their figures are listed to callers without a key. Needs a restart."""

    drain: Pause = 30.0
    """How long requests in flight may go on when the gateway is told to stop, by SIGTERM, SIGINT or SIGHUP. A second
    before that is over (a quarter of it, when it is shorter than four seconds) those that are left are ended: a stream
    with `response.failed` and `[DONE]`, a JSON call with a 503. A second signal ends the process at once. Needs a
    restart."""

    def model_post_init(self, context: object) -> None:
        if self.body_memory < self.max_body:
            raise ValueError(f"body_memory must be at least max_body, which is {format_size(self.max_body)}")


class StoreSettings(Section):
    """What is remembered."""

    url: str = "sqlite:///trunkline.db"
    """The database: `sqlite:///relative.db` or `sqlite:////absolute.db`. Needs a restart."""

    timeout: Duration = 2.0
    """How long a statement may wait for the database; then the request gets a 503."""

    pepper: SecretField | None = None
    """The secret that keys are hashed with. When absent it is made once and kept in a file beside the SQLite
    database, readable by its owner only. Nodes that share a database need the same one; without it no key is
    recognised. Needs a restart."""

    def model_post_init(self, context: object) -> None:
        if not re.match(r"sqlite:///.", self.url):
            raise ValueError("records are kept in SQLite only; write url as sqlite:///trunkline.db")


class DataPolicySettings(Section):
    """What the operator's own contract with a provider says about prompts."""

    trains: bool | None = None
    """Whether the provider trains on prompts."""

    zdr: bool | None = None
    """Whether the provider keeps nothing after the answer (zero data retention)."""

    retains_days: int | None = Field(default=None, ge=0)
    """For how many days the provider keeps prompts."""


class ProviderSettings(Section):
    """One provider: a known one, changed, or a private one, added."""

    name: str | None = None
    """The name shown to clients; for a private provider its slug when absent."""

    dialect: str | None = None
    """The wire language to speak, as `chat`, `responses` or `messages`. A private provider needs it."""

    base_url: str | None = Field(default=None, pattern=r"^(https?|fake)://[^\s]+$")
    """Where the provider answers, without the path of the dialect. A private provider needs it. When it is set for
    a known provider, nothing is sent to that provider's own addresses."""

    api_key: SecretField | None = None
    """The provider's key. When absent, the provider's usual environment variable is looked at."""

    credential_scheme: Literal["none", "bearer", "header", "query", "sigv4", "google", "azure"] | None = None
    """How the key is sent. `bearer` for a private provider with a key. `sigv4` signs for AWS and `google` fetches
    tokens, both with what botocore and google-auth find if there is no `api_key`; `azure` sends a key as `api-key`, or
    an Entra token if `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` are set."""

    credential_name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_-]+$")
    """The header or query parameter that carries the key, for the schemes `header` and `query`."""

    headers: dict[str, str] = {}
    """Further fixed headers for each request."""

    quirks: dict[str, Json] = {}
    """Deviations from the dialect that replace the known ones."""

    enabled: bool | None = None
    """`false` turns the provider off. FakeProvider needs `true` when another provider is on, and so does one with AWS's
    or Google's credentials that this machine has without any variable being set, as in a role."""

    data_policy: DataPolicySettings = DataPolicySettings()
    """What the operator's own contract says, in place of the provider's public policy."""

    region: str | None = None
    """The ISO country code of the place where prompts are worked on."""

    variables: dict[str, str] = {}
    """Values for the braces in the provider's address, as `region` or `account_id`."""


class PriceSettings(Section):
    """USD per million tokens; `request`, `image` and `search` are USD apiece. Strings, so that they stay exact."""

    input: Usd
    """Input tokens."""

    output: Usd
    """Output tokens."""

    cache_read: Usd | None = None
    """Input tokens read from the provider's cache; as `input` when absent."""

    cache_write: Usd | None = None
    """Input tokens written to the provider's cache; as `input` when absent."""

    reasoning: Usd | None = None
    """Reasoning tokens; as `output` when absent."""

    audio: Usd | None = None
    """Audio input tokens; as `input` when absent."""

    request: Usd = Decimal(0)
    """Each request."""

    image: Usd | None = None
    """Each image made."""

    search: Usd | None = None
    """Each web search."""


class EndpointSettings(Section):
    """One model at one provider: a known one, changed field by field, or a new one."""

    provider: Slug
    """The provider's slug or name."""

    model: Slug
    """The slug clients ask for, as `meta-llama/llama-3.3-70b-instruct`."""

    name: str | None = None
    """The model's name for people; its slug when absent."""

    upstream_model: str | None = None
    """The provider's own name for the model. When absent: the part after the slash if the author is the provider
    itself (`openai/gpt-5` at `openai` is `gpt-5`), else the whole `model` as written here, without a `:variant`."""

    tag: str | None = None
    """Tells apart two endpoints of one model at one provider, as `deepinfra/fp8`; the provider's slug when absent."""

    price: PriceSettings | None = None
    """What the endpoint costs. An endpoint without a price is served, and its requests cost nothing."""

    context_tokens: int | None = Field(default=None, gt=0)
    """How many tokens input and output may have together."""

    max_output_tokens: int | None = Field(default=None, gt=0)
    """How many tokens an answer may have."""

    supports: list[str] | None = None
    """The parameters the endpoint knows, as `tools` or `structured_outputs`; when absent all are tried."""

    quantization: Literal["int4", "int8", "fp4", "fp6", "fp8", "fp16", "bf16", "fp32", "unknown"] | None = None
    """The precision of the weights."""

    distillable: bool | None = None
    """Whether the model's author allows training on its output."""

    dialect: str | None = None
    """The wire language for this endpoint; the provider's when absent."""

    input_modalities: list[Literal["text", "image", "file", "audio", "video"]] | None = None
    """What the model takes; when absent nothing is held back."""

    output_modalities: list[Literal["text", "image", "file", "audio", "video"]] | None = None
    """What the model gives; text when absent."""

    reasoning_efforts: list[str] | None = None
    """The reasoning efforts the endpoint takes, weakest first."""

    quirks: dict[str, Json] = {}
    """Deviations from the dialect that hold for this endpoint alone."""


class TimeoutSettings(Section):
    """How long an attempt may wait for a provider; then the next endpoint is tried."""

    connect: Duration = 10.0
    """For the connection: the look-up of its name, the connection itself and TLS together."""

    first_byte: Duration = 2 * _MINUTE
    """From the sending of the request to the first output of the model. Pings, comments, blanks and empty pieces are
    no output."""

    idle: Duration = 2 * _MINUTE
    """Between two pieces of output. It ends a stream that has begun, since nobody else can go on with it."""

    thinking: Duration = 6 * _MINUTE
    """What takes the place of both, where it is longer, for a model that thinks: one that was asked to, or that
    always does. It must show that it is there meanwhile: after `idle` without any byte it is given up all the same."""


class RoutingSettings(Section):
    """How endpoints are tried."""

    attempts: int = Field(default=3, ge=1, le=20)
    """How many endpoints a request may try."""

    retry_budget: Fraction = 0.2
    """The share of requests that may be tried again; it keeps an outage from multiplying the load."""

    hedge: bool = False
    """Whether a stream whose endpoint is silent for longer than it is 95 times in 100 is asked for at a second one
    too, for at most 2 calls in 100. The client gets and pays the first to speak; both providers may charge you."""

    explanations: int = Field(default=1000, ge=0, le=100_000)
    """Of how many past requests it is remembered why they went where they went. Needs a restart."""

    timeouts: TimeoutSettings = TimeoutSettings()
    """Limits on waiting."""


class DefaultsSettings(Section):
    """What a request gets when it does not say."""

    model: Slug | None = None
    """The model of a request without one; when absent such a request gets a 400."""


class CatalogSettings(Section):
    """Where newer lists of models and prices come from. Without it the list that came with this version is used."""

    url: str | None = Field(default=None, pattern=r"^(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])\S+$")
    """The address of a newer `models.json`, for `trunkline catalog update`. Nothing is fetched by itself."""

    file: str = "trunkline-models.json"
    """Where a fetched list is kept, and the one before it beside it. A list older than the shipped one is not used."""


class LogSettings(Section):
    """What is written to standard error. Prompts and answers never are."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to write."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object a line; `console`: for people; `auto`: `console` on a terminal, else `json`."""


class Settings(BaseSettings):
    """All there is to set."""

    model_config = SettingsConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, case_sensitive=True)

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    providers: dict[str, ProviderSettings] = {}
    endpoints: list[EndpointSettings] = []
    routing: RoutingSettings = RoutingSettings()
    defaults: DefaultsSettings = DefaultsSettings()
    catalog: CatalogSettings = CatalogSettings()
    log: LogSettings = LogSettings()
    bootstrap_key: SecretField | None = None
    """A key that is made valid at the start, for installations without a terminal. When absent, the first start
    makes one and shows it once."""


class SettingsError(Exception):
    """The settings cannot be used; one line for each problem, each saying where it is and what to do."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Sources:
    """The layers that settings are read from, strongest first: `command_line`, `environment`, `file`.

    `names` tells how the operator spelled a path of the environment layer; `lines` the line of a path in the file.
    """

    command_line: Layer = field(default_factory=dict)
    environment: Layer = field(default_factory=dict)
    file: Layer = field(default_factory=dict)
    file_name: str = "trunkline.toml"
    names: Mapping[Path, str] = field(default_factory=dict)
    lines: Mapping[Path, int] = field(default_factory=dict)

    def origin(self, path: Path) -> str:
        """Say where the value at a path came from: `command line`, a variable's name, `file:line`, or `default`."""
        if _holds(self.command_line, path):
            return "command line"
        if _holds(self.environment, path):
            return _nearest_entry(self.names, path) or "environment"
        if _holds(self.file, path):
            line = _nearest_entry(self.lines, path)
            return f"{self.file_name}:{line}" if line else self.file_name
        return "default"


def read_sources(
    *,
    command_line: Layer | None = None,
    environ: Mapping[str, str] | None = None,
    file_text: str | None = None,
    file_name: str = "trunkline.toml",
) -> Sources:
    """Cut the three sources into layers.

    Raises SettingsError for text that is not TOML.
    """
    environment, names = _read_environment(environ or {})
    return Sources(
        command_line=command_line or {},
        environment=environment,
        file=_read_toml(file_text or "", file_name),
        file_name=file_name,
        names=names,
        lines=_find_lines(file_text or ""),
    )


def build_settings(sources: Sources) -> Settings:
    """Lay the layers over the defaults and check every value.

    Raises SettingsError with all problems at once.
    """
    layers = (sources.command_line, sources.environment, sources.file)
    # Handed over ready-made: the library's own sources would read the process environment behind our back.
    ready = tuple(InitSettingsSource(Settings, init_kwargs=dict(layer)) for layer in layers)
    try:
        return Settings(_build_sources=(ready, {}))  # type: ignore[call-arg]  # mypy knows the fields only
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)
        raise SettingsError(
            [_explain(entry["loc"], entry["type"], entry["msg"], sources) for entry in details]
        ) from None


def effective(settings: Settings, sources: Sources) -> Iterator[tuple[str, str, str]]:
    """List every value as (path, value, origin), secrets hidden; of providers and endpoints only what is set."""
    for path, value in _leaves((), settings.model_dump(mode="python")):
        origin = sources.origin(path)
        is_unset = value in (None, {}, []) or origin == "default"
        if not (is_unset and path[0] in ("providers", "endpoints", "bootstrap_key")):
            yield dotted(path), _shown(path, value), origin


def dotted(path: Path) -> str:
    """Write a path as `endpoints[2].price.input`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def suggestion(word: str, known: Sequence[str]) -> str:
    """Name the known word nearest to a mistyped one, ready to follow a full clause."""
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.55)
    return f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(sorted(known))}" if len(known) < 25 else ""


def shown_address(text: str) -> str:
    """Hide the password, and what a query's parameters hold that sound secret, in an address; others stay as they are.

    Of an HTTP address the user is hidden too, since a token is often written there.
    """
    return reduce(lambda shown, rule: rule[0].sub(rule[1], shown), _ADDRESS_SECRETS, text)


_ADDRESS_SECRETS = (
    # A password may hold anything, so it ends at the last @ there is.
    (re.compile(r"^([A-Za-z][\w+.-]*://[^/?#:@\s]*):\S*@"), r"\1:(hidden)@"),
    (re.compile(r"^(https?://)[^/?#:@\s]+@", re.IGNORECASE), r"\1(hidden)@"),
    (re.compile(r"([?&][^=&#\s]*(?:key|token|secret|pass|sig|auth|cred|code)[^=&#\s]*=)[^&#]*", re.I), r"\1(hidden)"),
)


def _read_toml(text: str, file_name: str) -> Layer:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0] if place else str(text.count("\n") + 1)
        raise SettingsError(
            [f"{file_name}:{line}: not valid TOML: {message}; strings need quotes, tables a [header]"]
        ) from None
    except (ValueError, RecursionError) as error:
        raise SettingsError([f"{file_name}: not valid TOML: {error}"]) from None


# Kubernetes and Docker put such variables into every container beside a service named "trunkline".
_SERVICE_LINK = re.compile(
    r"TRUNKLINE_(\w+_)?(SERVICE_(HOST|PORT)(_\w+)?=.*|PORT_\d+_(TCP|UDP)(_\w+)?=.*|PORT=\w+://.*)", re.DOTALL
)


def _read_environment(environ: Mapping[str, str]) -> tuple[Layer, Mapping[Path, str]]:
    layer: dict[str, Json] = {}
    names: dict[Path, str] = {}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS:
            continue
        if _SERVICE_LINK.fullmatch(f"{name}={value}"):
            continue
        if not value.strip():
            continue  # `NAME=${NAME}` in a compose file leaves an empty string where nothing was meant
        path = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
        if path[0] == "providers" and len(path) > 1:
            # A variable's name cannot hold the hyphen of a slug.
            path = (path[0], path[1].replace("_", "-"), *path[2:])
        names[path] = name
        _put(layer, path, _environment_value(name, value))
    return layer, names


def _environment_value(name: str, value: str) -> Json:
    if value.lstrip()[:1] not in ("[", "{"):
        return value
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        raise SettingsError(
            [f'{name}: write a list or table as in TOML, as ["a", "b"] or {{ env = "NAME" }}']
        ) from None


def _put(layer: dict[str, Json], path: tuple[str, ...], value: Json) -> None:
    for part in path[:-1]:
        inner = layer.get(part)
        if not isinstance(inner, dict):
            inner = layer[part] = {}
        layer = inner
    layer[path[-1]] = value


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(#.*)?")
_ENTRY = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_KEY_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")


def _find_lines(text: str) -> Mapping[Path, int]:
    """Find the line of each key. Good for messages only: it does not look inside multi-line values."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line):
            table = _key_path(header[2])
            if header[1] == "[[":
                index = counts.get(table, 0)
                counts[table] = index + 1
                table = (*table, index)
            lines.setdefault(table, number)
        elif entry := _ENTRY.match(line):
            lines.setdefault((*table, *_key_path(entry[1])), number)
    return lines


def _key_path(written: str) -> Path:
    return tuple(part.strip("\"'") for part in _KEY_PART.findall(written))


def _holds(layer: Json, path: Path) -> bool:
    for part in path:
        if isinstance(layer, str):
            return True  # a plain string that stands for a table, as an inline secret
        try:
            layer = layer[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def _nearest_entry(entries: Mapping[Path, Json], path: Path) -> Json:
    """Look a path up, then the tables around it: a value inside an inline table has no entry of its own."""
    return next((entries[path[:end]] for end in range(len(path), 0, -1) if path[:end] in entries), None)


def _explain(location: Path, kind: str, message: str, sources: Sources) -> str:
    origin = sources.origin(location)
    where = "" if origin == "default" else f"{origin}: "
    message = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = _fields_at(location[:-1])
        return f"{where}unknown setting {dotted(location)!r}{suggestion(str(location[-1]), known)}"
    if kind in ("model_type", "dict_type"):
        return f"{where}{dotted(location)} is a table of settings, not a single value"
    if kind == "missing":
        table = sources.origin(location[:-1])
        where = "" if table == "default" else f"{table}: "
        return f"{where}{dotted(location)} is missing; set it"
    return f"{where}{dotted(location)}: {message[:1].lower()}{message[1:]}"


def _fields_at(path: Path) -> list[str]:
    """List the names known in the table at a path."""
    kind: Json = Settings
    for part in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = _inner(kind.model_fields[str(part)].annotation)
        else:
            kind = _inner(get_args(kind)[-1])  # an entry of dict[str, X] or list[X]
    return list(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else []


def _inner(annotation: Json) -> Json:
    """Take `Annotated` and `| None` off a type."""
    if hasattr(annotation, "__metadata__"):
        return _inner(annotation.__origin__)
    if type(None) in get_args(annotation):
        return _inner(get_args(annotation)[0])
    return annotation


def _leaves(path: Path, value: Json) -> Iterator[tuple[Path, Json]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves((*path, name), inner)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for index, inner in enumerate(value):
            yield from _leaves((*path, index), inner)
    else:
        yield path, value


def _shown(path: Path, value: Json) -> str:
    if isinstance(value, SecretStr) or (path[0] in ("providers", "endpoints") and _HEADER_TABLES.intersection(path)):
        return "(hidden)"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else shown_address(str(value))


_HEADER_TABLES = frozenset({"headers", "extra_headers"})
