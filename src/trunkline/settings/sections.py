"""What an operator may set: every name, its unit, its default and its meaning.

It does not know which providers, dialects or quirks exist; `catalog/load.py` checks those names. How values come in is
`reading.py`'s business. The docstring under each field is its entry in `docs/reference/settings.md`.
"""

from __future__ import annotations

import re
from decimal import Decimal
from itertools import chain
from typing import Annotated, Literal

from msgspec import Meta

from trunkline.settings.fields import Count, CountOrNone, SecretField, Section, Slug, written_as
from trunkline.settings.files_sections import OcrSettings, find_unfit_ocr
from trunkline.settings.forms import Json, Unreadable, Written
from trunkline.settings.moderation_sections import ModeratorSettings, find_unfit_moderators
from trunkline.settings.plugin_sections import PluginsSettings, SearchSettings, find_unfit
from trunkline.settings.quantities import Duration, Factor, Fraction, Pause, Size, Usd, format_size

_MINUTE = 60.0
_DAY = 86_400.0


def _origin(value: object) -> object:
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"\*|https?://[^/\s?#]+", value):
        raise ValueError("write an origin as https://app.example.com, without a path, or *")
    return value.lower()


def _base_url(value: object) -> object:
    path = str(value).rstrip("/")
    for end in _DIALECT_PATHS:
        if path.endswith(end):
            raise ValueError(f"leave out {end}: the dialect adds its own path")
    return value


_DIALECT_PATHS = ("/chat/completions", "/responses", "/messages", "/completions")
"""What people copy along from a provider's example; each call would then go to a path that is not there."""

Origin = Annotated[str, Written(_origin)]
Listen = Annotated[
    str,
    written_as(r"(\[[0-9A-Fa-f:.]+\]|[^:\s]+):[0-9]{1,5}", "write address and port, as 127.0.0.1:8080 or 0.0.0.0:8080"),
]
BaseUrl = Annotated[
    str,
    written_as(r"(https?|fake)://\S+", "write the whole address, as http://localhost:11434/v1"),
    Written(_base_url),
]
ParameterName = Annotated[
    str,
    written_as(r"[A-Za-z0-9_-]+", "write the name of a header or parameter: letters, digits, hyphens, underscores"),
]
ListUrl = Annotated[
    str,
    written_as(
        r"(https://|http://(localhost|127\.0\.0\.1|\[::1\])[:/])\S+",
        "write an https address, as https://example.com/models.json; http is for this machine alone",
    ),
]


class ServerSettings(Section, frozen=True):
    """The HTTP face."""

    listen: Listen = "127.0.0.1:8080"
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

    max_connections: Count = 10_000
    """How many clients may be connected. One more takes the place of the one that has been idle longest; when all are
    busy it gets a 503. Keep it below the limit of open files (`ulimit -n`), less one for each call to a provider.
    Needs a restart."""

    keep_alive: Pause = 10.0
    """After this much silence in a stream a comment is sent, so that proxies keep it open; 0 turns that off."""

    grace: Pause = 10.0
    """How long a stream waits for its first output before its head is sent all the same, with status 200."""

    origins: list[Origin] = []
    """The origins whose web pages may call the gateway and read its answers, as `https://app.example.com`; `*` stands
    for all. A page needs a key all the same, and whoever opens the page can read it. Needs a restart."""

    open_listings: bool = True
    """Whether models, providers and their figures are listed to callers without a key. Needs a restart."""

    drain: Pause = 30.0
    """How long requests in flight may go on when the gateway is told to stop, by SIGTERM, SIGINT or SIGHUP. A second
    before that is over (a quarter of it, when it is shorter than four seconds) those that are left are ended: a stream
    with `response.failed` and `[DONE]`, a JSON call with a 503. A second signal ends the process at once. Needs a
    restart."""

    def __post_init__(self) -> None:
        if self.body_memory < self.max_body:
            raise ValueError(f"body_memory must be at least max_body, which is {format_size(self.max_body)}")


_HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\s:,/?#@\[\]]*)(:[0-9]{1,5})?"
_POSTGRES = re.compile(rf"([^\s/?#]*@)?{_HOST}(,{_HOST})*/[^\s/?#]+(\?\S*)?")


def _check_database_url(url: str) -> None:
    """Raise ValueError with how to write it; the words repeat nothing of it, since a password may be in it."""
    scheme, mark, rest = url.partition("://")
    if not mark or scheme not in ("sqlite", "postgresql", "postgres") or (scheme == "sqlite" and rest[:1] != "/"):
        either = "sqlite:///trunkline.db or postgresql://user:password@host:5432/name"
        raise ValueError(f"records are kept in SQLite or PostgreSQL; write url as {either}")
    if scheme == "sqlite" and len(rest) < len("/a"):
        raise ValueError("name the file of the database, as sqlite:///trunkline.db")
    if scheme != "sqlite" and not _POSTGRES.fullmatch(rest):
        signs = "where a password has one of / ? # @ % it is %2F %3F %23 %40 %25"
        raise ValueError(f"write url as postgresql://user:password@host:5432/name; {signs}")


class StoreSettings(Section, frozen=True):
    """What is remembered."""

    url: str = "sqlite:///trunkline.db"
    """The database: `sqlite:////absolute.db`, or `sqlite:///relative.db` in the folder of the settings file. One
    that was made where the gateway was started, in another folder, stays in use. Several gateways share
    `postgresql://user:password@host:5432/name` (version 13 or newer, `pip install trunkline[cluster]`); what follows
    a `?` is as PostgreSQL's own clients take it, as `?sslmode=verify-full`, and the password is shown nowhere. Needs a
    restart."""

    timeout: Duration = 2.0
    """How long a statement may wait for the database; then the request gets a 503."""

    counters: SecretField | None = None
    """The Valkey or Redis server that several gateways share, as `redis://:password@host:6379/0` (`rediss://` for TLS):
    there they count limits together, and tell each other how endpoints do. Nothing that must not be lost is on it, and
    while it is away each gateway has its share of every limit. It needs `pip install trunkline[cluster]`. Needs a
    restart."""

    pepper: SecretField | None = None
    """The secret that keys are hashed with. When absent it is made once and kept in a file beside the SQLite
    database, readable by its owner only. With PostgreSQL it is yours to give, the same on every node; without it no key
    is recognised. Needs a restart."""

    journal: str | None = None
    """The folder where records are kept that the database does not take, until it does. When absent it is beside the
    SQLite database, and named like it with `.journal` at the end; with PostgreSQL `trunkline.journal` where the gateway
    was started. It should outlast the process, and no two machines may share one. Needs a restart."""

    node: str | None = None
    """The name of this place in the database, the same after a restart, so that credit held by a process that was
    killed is given back at once; elsewhere it is given back after a minute. When absent it is the name of the host
    and the port. No two processes may have the same. Needs a restart."""

    keep_records: Pause = 90 * _DAY
    """How long the record of each request is kept; 0 keeps it for ever. On PostgreSQL a week of records goes when all
    of it is that old. What is summed up by day stays, and so does the ledger, in which the charges of a month become
    one entry for each account once its records are gone. Needs a restart."""

    pepper_previous: SecretField | None = None
    """The secret that `pepper` took the place of. Keys that were made with it stay good, and are kept under the new one
    from the first time they are used; `trunkline keys list --json` tells which were not used yet. Needs a restart."""

    master_keys: dict[str, SecretField] = {}
    """The keys that provider keys of accounts are encrypted with (`trunkline byok`), each by a name of your choice: 32
    random bytes in base64 or hexadecimal, as `openssl rand -base64 32` gives. The first one encrypts, all of them
    decrypt: put a new one first, restart every gateway, and `trunkline byok rotate` encrypts with it what is there.
    When absent one is made with the first such key and kept in a file beside the SQLite database, readable by its
    owner only; with PostgreSQL it is yours to give, the same on every node. Without it those keys cannot be used. Needs
    a restart."""

    def __post_init__(self) -> None:
        _check_database_url(self.url)
        if any(len(name) > 64 for name in self.master_keys):
            raise ValueError("the name of a master key has at most 64 characters")

    def __repr__(self) -> str:
        return "StoreSettings(…)"  # a password may be in the url


class DataPolicySettings(Section, frozen=True):
    """What the operator's own contract with a provider says about prompts."""

    trains: bool | None = None
    """Whether the provider trains on prompts."""

    zdr: bool | None = None
    """Whether the provider keeps nothing after the answer (zero data retention)."""

    retains_days: CountOrNone | None = None
    """For how many days the provider keeps prompts."""


class ProviderSettings(Section, frozen=True):
    """One provider: a known one, changed, or a private one, added."""

    name: str | None = None
    """The name shown to clients; for a private provider its slug when absent."""

    dialect: str | None = None
    """The wire language to speak, as `chat`, `responses` or `messages`. A private provider needs it."""

    base_url: BaseUrl | None = None
    """Where the provider answers, without the path of the dialect. A private provider needs it. When it is set for
    a known provider, nothing is sent to that provider's own addresses."""

    api_key: SecretField | None = None
    """The provider's key. When absent, the provider's usual environment variable is looked at."""

    credential_scheme: Literal["none", "bearer", "header", "query", "sigv4", "google", "azure"] | None = None
    """How the key is sent. `bearer` for a private provider with a key. `sigv4` signs for AWS and `google` fetches
    tokens, both with what botocore and google-auth find if there is no `api_key`; `azure` sends a key as `api-key`, or
    an Entra token if `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` are set."""

    credential_name: ParameterName | None = None
    """The header or query parameter that carries the key, for the schemes `header` and `query`."""

    headers: dict[str, str] = {}
    """Further fixed headers for each request."""

    quirks: dict[str, Json] = {}
    """Deviations from the dialect that replace the known ones."""

    enabled: bool | None = None
    """`false` turns the provider off. FakeProvider needs `true` to be listed when another provider is on or named here;
    its models answer by their exact names all the same. So does one with AWS's or Google's
    credentials that this machine has without any variable being set, as in a role."""

    prompt_caching: Literal["auto", "on_key", "off"] | None = None
    """When providers that cache prompts only on request, and ask more for what is written than for plain input, are
    asked to: those of the dialects `messages` and `converse` (Claude and Nova). `auto`, the default: when the input
    holds an answer of the model or a tool's result, for then the conversation goes on, or when the request has a
    `prompt_cache_key`. `on_key`: with a `prompt_cache_key` alone. `off`: never, and the key is named as dropped. Where
    a client marks by `cache_control` what is to be kept, that alone is, unless this is `off`."""

    data_policy: DataPolicySettings = DataPolicySettings()
    """What the operator's own contract says, in place of the provider's public policy."""

    region: str | None = None
    """The ISO country code of the place where prompts are worked on."""

    variables: dict[str, str] = {}
    """Values for the braces in the provider's address, as `region` or `account_id`."""

    concurrency: Count | None = None
    """How many requests the provider takes at once, with the gateway's own key, for all its endpoints together: as
    `8` for a server with eight slots. Further ones go to another endpoint that may serve them, or wait for their turn
    (`routing.queue_wait`), each account for its share. Several gateways on one store have each a part of it. Needs a
    restart."""

    requests_per_minute: Count | None = None
    """How many requests the provider takes in a minute, likewise; a sixth of them may come at once. Needs a restart."""


class TierSettings(Section, frozen=True):
    """USD per million tokens of requests with a large input. What is absent is as much dearer as `input` is."""

    above_input_tokens: Count
    """The prices hold for requests with more input tokens than this."""

    input: Usd
    """Input tokens."""

    output: Usd
    """Output tokens."""

    cache_read: Usd | None = None
    """Input tokens read from the provider's cache."""

    cache_write: Usd | None = None
    """Input tokens written to the provider's cache."""


class ServiceTierSettings(Section, frozen=True):
    """By which factor tokens cost more or less where the provider says that it served in this tier."""

    flex: Factor | None = None
    """As `"0.5"` for half of the price."""

    priority: Factor | None = None
    """As `"2"` for twice the price."""

    scale: Factor | None = None
    """OpenAI's tier of bought units."""

    ultrafast: Factor | None = None
    """OpenAI's fastest tier, and the fast mode of Anthropic's models (`speed`)."""


class PriceSettings(Section, frozen=True):
    """USD per million tokens; `request`, `image` and `search` are USD apiece. Strings, so that they stay exact."""

    input: Usd
    """Input tokens."""

    output: Usd
    """Output tokens."""

    cache_read: Usd | None = None
    """Input tokens read from the provider's cache; as `input` when absent."""

    cache_write: Usd | None = None
    """Input tokens written to the provider's cache; as `input` when absent."""

    cache_write_1h: Usd | None = None
    """Of these, tokens that are kept for an hour; as `cache_write` when absent."""

    reasoning: Usd | None = None
    """Reasoning tokens; as `output` when absent."""

    reasoning_per: Literal["token", "answer"] = "token"
    """`answer`: where the model thought, all of its output costs what `reasoning` says (Alibaba's Qwen models)."""

    audio: Usd | None = None
    """Audio input tokens; as `input` when absent."""

    audio_cached: Usd | None = None
    """Audio input tokens read from the provider's cache; when absent the same part of `audio` as `cache_read` is of
    `input`."""

    image_token: Usd | None = None
    """Output tokens that draw. A picture costs its tokens where the provider counts them, else what `image` says."""

    request: Usd = Decimal(0)
    """Each request."""

    image: Usd | None = None
    """Each image made."""

    search: Usd | None = None
    """Each web search."""

    search_per: Literal["query", "request"] = "query"
    """`request`: all searches of a request cost together what one does."""

    tiers: list[TierSettings] = []
    """What requests with a large input cost, as `[{ above_input_tokens = 200000, input = "4", output = "15" }]`."""

    service_tiers: ServiceTierSettings = ServiceTierSettings()
    """What the provider's tiers of service cost, as `{ flex = "0.5", priority = "2" }`."""


class EndpointSettings(Section, frozen=True):
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
    """What the endpoint costs. One without a price is served, and costs what the provider says, or nothing."""

    context_tokens: Count | None = None
    """How many tokens input and output may have together."""

    max_output_tokens: Count | None = None
    """How many tokens an answer may have."""

    supports: list[str] | None = None
    """The features the endpoint has, as `tools`, `structured_outputs` or `reasoning`; when absent all are tried. Plain
    parameters, as `temperature`, are tried all the same."""

    rejects: list[str] = []
    """Parameters that the endpoint refuses, as `top_k`; they are left out and named in `x-trunkline-dropped`."""

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

    prompt_caching: Literal["auto", "on_key", "off"] | None = None
    """When this endpoint is asked to cache a prompt; as the provider's when absent."""

    quirks: dict[str, Json] = {}
    """Deviations from the dialect that hold for this endpoint alone."""

    concurrency: Count | None = None
    """How many requests the endpoint takes at once, within what its provider does. Needs a restart."""

    requests_per_minute: Count | None = None
    """How many requests the endpoint takes in a minute, within what its provider does. Needs a restart."""


class TimeoutSettings(Section, frozen=True):
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


class RoutingSettings(Section, frozen=True):
    """How endpoints are tried."""

    attempts: Annotated[int, Meta(ge=1, le=20)] = 3
    """How many endpoints a request may try."""

    retry_budget: Fraction = 0.2
    """The share of requests that may be tried again; it keeps an outage from multiplying the load."""

    hedge: bool = False
    """Whether a stream whose endpoint is silent for longer than it is 95 times in 100 is asked for at a second one
    too, for at most 2 calls in 100. The client gets and pays the first to speak; both providers may charge you."""

    queue_wait: Pause = 10.0
    """The longest that a request waits for its turn at endpoints that take no more: by `concurrency` or
    `requests_per_minute`, or because they answered 429 and said for how long. Who would wait longer, as estimated, gets
    a 429 with `Retry-After` at once. 0: nobody waits. A stream that waits for longer than `server.grace` has begun, and
    is told in it what fails. Needs a restart."""

    queue_length: Count = 1000
    """How many requests may wait in the line of one provider or endpoint; one account has half of the room that others
    leave. One more gets a 503. Needs a restart."""

    explanations: Annotated[int, Meta(ge=0, le=100_000)] = 1000
    """Of how many past requests it is remembered why they went where they went. Needs a restart."""

    timeouts: TimeoutSettings = TimeoutSettings()
    """Limits on waiting."""


class BillingSettings(Section, frozen=True):
    """How much of a limited credit is held for a request while it runs. What it costs is charged at its end; a bound
    that was too low costs the house, one that is too high refuses requests with 402 that would have fitted."""

    text_bytes_per_token: Count = 2
    """Bytes of the request's text, tools and schemas included, that are held for as one input token."""

    tokens_per_image: CountOrNone = 2_000
    """Input tokens held for each picture."""

    file_bytes_per_token: Count = 8
    """Bytes of a file that is no text that are held for as one input token."""

    linked_file_tokens: CountOrNone = 50_000
    """Input tokens held for a file or film behind a link, whose size nobody knows."""

    audio_tokens_per_second: CountOrNone = 32
    """Input tokens held for each second of sound."""

    unlimited_output_tokens: Count = 32_768
    """Output tokens held for at an endpoint of which no limit is known, when the client names none."""

    floor_tokens: Count = 256
    """The shortest answer worth asking for. A request without `max_output_tokens` is refused only when the credit does
    not pay for that; with more credit its answer may be as long as an eighth of the credit pays for."""

    reasoning_floor_tokens: Count = 2_048
    """The same of a model that thinks before it answers."""

    searches: CountOrNone = 5
    """Web searches held for when a model may search and the client names no `max_tool_calls`."""

    unpriced_hold: Usd = Decimal("0.50")
    """USD held at an endpoint without a price, where what the provider says is what it costs."""

    byok_fee: Fraction = 0.0
    """What a request costs that an account's own provider key pays for (`trunkline byok`): this share of what the
    provider asks for it."""


class DefaultsSettings(Section, frozen=True):
    """What a request gets when it does not say."""

    model: Slug | None = None
    """The model of a request without one; when absent such a request gets a 400."""


class CatalogSettings(Section, frozen=True):
    """Where newer lists of models and prices come from. Without it the list that came with this version is used."""

    url: ListUrl | None = None
    """The address of a newer `models.json`, for `trunkline catalog update`, which keeps it in the store. Nothing is
    fetched by itself."""

    file: str = "trunkline-models.json"
    """A list of models on this machine, as an image of your own may bring it. Of it, the list in the store and the one
    that came with this version the newest is used; it is read at the start, and when the store's changes."""


class LogSettings(Section, frozen=True):
    """What is written to standard error. Prompts and answers never are."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important events to write."""

    format: Literal["auto", "json", "console"] = "auto"
    """`json`: one object a line; `console`: for people; `auto`: `console` on a terminal, else `json`."""


class Settings(Section, frozen=True):
    """All there is to set."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    providers: dict[str, ProviderSettings] = {}
    endpoints: list[EndpointSettings] = []
    routing: RoutingSettings = RoutingSettings()
    billing: BillingSettings = BillingSettings()
    defaults: DefaultsSettings = DefaultsSettings()
    catalog: CatalogSettings = CatalogSettings()
    log: LogSettings = LogSettings()
    search: dict[str, SearchSettings] = {}
    moderation: dict[str, ModeratorSettings] = {}
    ocr: dict[str, OcrSettings] = {}
    plugins: PluginsSettings = PluginsSettings()
    bootstrap_key: SecretField | None = None
    """A key that is made valid at the start, for installations without a terminal. When absent, the first start
    makes one and shows it once."""

    def __post_init__(self) -> None:
        plugins = self.plugins
        unfit = chain(
            find_unfit(self.search, plugins),
            find_unfit_moderators(self.moderation, plugins.moderation, [*plugins.defaults]),
            find_unfit_ocr(self.ocr, plugins.file_parser),
        )
        if problems := tuple(unfit):
            raise Unreadable(problems)
