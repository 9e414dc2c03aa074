"""The wires the mock speaks and how the gateway is set up to call each: shipped rows and a private one, on loopback.

Which answers are expected stands in `test_dialects.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.gateway.server import PROVIDER_KEY
from tests.providers.fixtures import CLAUDE, CLAUDE_ON_BEDROCK

INPUT_USD, OUTPUT_USD = "3", "15"
"""What a million tokens cost at every endpoint."""

IMAGE_USD = "0.04"
"""What a picture costs."""

FRESH = 46
"""How many further models each wire has, for tests after which an endpoint is known to be in trouble."""

BEARER = ("authorization", f"Bearer {PROVIDER_KEY}")


@dataclass(frozen=True)
class Wire:
    """One way into the mock: a provider's row, its dialect, and where its requests must arrive.

    `path` and `stream_path` are what the mock must see, `credential` is a header and the pattern of its value. `key` is
    the variable that holds the provider's key, empty where the row's own variables do. `quirks` are the endpoint's, as
    inside an inline table of TOML.
    """

    id: str
    provider: str
    dialect: str
    base: str
    upstream_model: str
    path: str
    stream_path: str = ""
    credential: tuple[str, str] = BEARER
    key: str = "MOCK_KEY"
    scheme: str = ""
    quirks: str = ""

    @property
    def model(self) -> str:
        return f"mock/{self.id}"

    def fresh(self, number: int) -> str:
        return f"mock/{self.id}-{number}"

    def arrival(self, stream: bool) -> str:
        return (stream and self.stream_path) or self.path


AWS_KEY_ID, AWS_REGION = "AKIDFJORD", "eu-north-1"
_GEMINI = "gemini-2.5-flash"
_BEDROCK = "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0"
_VERTEX = "/v1/projects/fjord/locations/global/publishers/google/models"
_SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={AWS_KEY_ID}/[0-9]{{8}}/{AWS_REGION}/bedrock/aws4_request, "
    "SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}"
)
_AZURE = "/deployments/{model}/chat/completions?api-version=2024-10-21"

WIRES = (
    Wire("chat", "openai", "chat", "/v1", "gpt-5", "/v1/chat/completions"),
    Wire(
        "chat-azure",
        "azure",
        "chat",
        "/openai",
        "gpt-5",
        "/openai" + _AZURE.replace("{model}", "gpt-5"),
        credential=("api-key", PROVIDER_KEY),
        quirks=f'path = "{_AZURE}"',
    ),
    Wire(
        "chat-private",
        "fjord",
        "chat",
        "/api/v1",
        "fjord/heron-1",
        "/api/v1/chat/completions",
        quirks='reasoning_replay = "reasoning", structured_output = "json_object"',
    ),
    Wire("chat-thinker", "deepseek", "chat", "/v1", "deepseek-reasoner", "/v1/chat/completions"),
    Wire("responses", "openai", "responses", "/v1", "gpt-5", "/v1/responses"),
    Wire("messages", "anthropic", "messages", "/v1", CLAUDE, "/v1/messages", credential=("x-api-key", PROVIDER_KEY)),
    Wire(
        "gemini",
        "google-ai-studio",
        "gemini",
        "/v1beta",
        _GEMINI,
        f"/v1beta/models/{_GEMINI}:generateContent",
        f"/v1beta/models/{_GEMINI}:streamGenerateContent?alt=sse",
        credential=("x-goog-api-key", PROVIDER_KEY),
        quirks="has_call_ids = true",
    ),
    Wire(
        "gemini-vertex",
        "google-vertex",
        "gemini",
        _VERTEX,
        _GEMINI,
        f"{_VERTEX}/{_GEMINI}:generateContent",
        f"{_VERTEX}/{_GEMINI}:streamGenerateContent?alt=sse",
        scheme="bearer",
        quirks="has_call_ids = true",
    ),
    Wire(
        "converse",
        "amazon-bedrock",
        "converse",
        "",
        CLAUDE_ON_BEDROCK,
        f"{_BEDROCK}/converse",
        f"{_BEDROCK}/converse-stream",
        credential=("authorization", _SIGNED),
        key="",
    ),
    Wire("cohere", "cohere", "cohere", "/v2", "command-a-reasoning-08-2025", "/v2/chat"),
    Wire(
        "mistral",
        "mistral",
        "mistral",
        "/v1",
        "magistral-medium-latest",
        "/v1/chat/completions",
        quirks='reasoning_replay = "reasoning_content"',
    ),
)

PAINTER = Wire("images", "openai", "images", "/v1", "gpt-image-1", "/v1/images/generations")
"""The way to pictures, which cannot do what the others can."""

RELAY = "mock/relay"
"""A model that every provider serves."""

ONE_EACH = tuple({wire.provider: wire for wire in WIRES}.values())
"""One wire of each provider."""


ENVIRONMENT = {
    "MOCK_KEY": PROVIDER_KEY,
    "AWS_ACCESS_KEY_ID": AWS_KEY_ID,
    "AWS_SECRET_ACCESS_KEY": PROVIDER_KEY,
    "AWS_REGION": AWS_REGION,
}
"""What the gateway finds the providers' keys in."""


def settings(url: str) -> str:
    """The gateway's settings, with all providers at the mock's address."""
    return _GATEWAY + "".join([*(_provider(wire, url) for wire in ONE_EACH), *_endpoints()])


_GATEWAY = """
[routing]
retry_budget = 1.0
[log]
level = "debug"
"""


def _provider(wire: Wire, url: str) -> str:
    key = f'api_key = {{ env = "{wire.key}" }}\n' if wire.key else ""
    scheme = f'credential_scheme = "{wire.scheme}"\n' if wire.scheme else ""
    return f"""
[providers.{wire.provider}]
dialect = "{wire.dialect}"
base_url = "{url}{wire.base}"
{key}{scheme}"""


def _endpoints() -> Iterator[str]:
    for wire in (*WIRES, PAINTER):
        for model in (wire.model, *(wire.fresh(number) for number in range(FRESH))):
            yield _endpoint(wire, model)
    for wire in ONE_EACH:
        yield _endpoint(wire, RELAY)


def _endpoint(wire: Wire, model: str) -> str:
    quirks = f"quirks = {{ {wire.quirks} }}\n" if wire.quirks else ""
    return f"""
[[endpoints]]
provider = "{wire.provider}"
model = "{model}"
dialect = "{wire.dialect}"
upstream_model = "{wire.upstream_model}"
price = {{ input = "{INPUT_USD}", output = "{OUTPUT_USD}", image = "{IMAGE_USD}" }}
{quirks}"""
