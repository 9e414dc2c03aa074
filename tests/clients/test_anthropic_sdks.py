"""Clients of the Messages API, unchanged, at providers of three wires: answers, streams, tools, schemas, searches."""

from __future__ import annotations

import pytest

from tests.clients.model import Model
from tests.clients.uses import HERE, Client, Uses, uses
from tests.gateway.server import Gateway
from tests.npm import AI_SDK, ANTHROPIC_SDK

OWN = ("search", "count", "models")
PYTHON_SDK = Client("anthropic-python", ["NotFoundError", 404, True], more=OWN)
JAVASCRIPT_SDK = Client("anthropic-javascript", ["NotFoundError", 404, True], more=OWN)
LANGCHAIN = Client("langchain-anthropic", [404, True])
BY_AI_SDK = Client("ai-sdk-anthropic", [404, True])

ON = ("chat", "messages", "responses")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def used(model: Model, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Uses:
    used = Uses(model, gateway, tmp_path_factory.mktemp("clients"), ON)
    used.add_python(HERE / "sdks" / "anthropic_messages.py", PYTHON_SDK)
    used.add_python(HERE / "sdks" / "langchain_chats.py", LANGCHAIN)
    used.add_node(HERE / "anthropic_sdk" / "messages.mjs", ANTHROPIC_SDK, JAVASCRIPT_SDK)
    used.add_node(HERE / "ai_sdk" / "chats.mjs", AI_SDK, BY_AI_SDK)
    return used


@pytest.mark.parametrize("wire", ON)
@pytest.mark.parametrize(("client", "use"), uses(PYTHON_SDK, JAVASCRIPT_SDK, LANGCHAIN, BY_AI_SDK))
def test_a_user_of_messages_gets(client: Client, use: str, wire: str, used: Uses) -> None:
    used.check(client, wire, use)
