"""Clients of Chat Completions, unchanged, at providers of three wires: answers, streams, tools, schemas and errors."""

from __future__ import annotations

import pytest

from tests.clients.conftest import OLDER_PYTHON
from tests.clients.model import Model
from tests.clients.uses import HERE, Client, Uses, uses
from tests.gateway.server import Gateway
from tests.npm import AI_SDK

OPENAI = Client("openai-python", ["NotFoundError", 404, "model_not_found", True], more=("streamed_parse", "models"))
# These three have no place for what proves a thought: it stays behind, and nothing is refused for it.
LANGCHAIN = Client("langchain-openai", [404, True], keeps_proofs=False)
BY_CHAT = Client("ai-sdk-chat", [404, True], keeps_proofs=False)
BY_COMPATIBLE = Client("ai-sdk-compatible", [404, True], keeps_proofs=False)
# It shows no message beside a code that is a word, as OpenAI's are: OpenRouter's are numbers.
OPENROUTER = Client("langchain-openrouter", [404, False])
BY_OPENROUTER = Client("ai-sdk-openrouter", [404, True], needs_words=True)

ON = ("chat", "messages", "responses")

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def used(model: Model, gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Uses:
    used = Uses(model, gateway, tmp_path_factory.mktemp("clients"), ON)
    used.add_python(HERE / "sdks" / "openai_chat.py", OPENAI)
    used.add_python(HERE / "sdks" / "langchain_chats.py", LANGCHAIN)
    used.add_python(HERE / "sdks" / "langchain_chats.py", OPENROUTER, python=OLDER_PYTHON)
    used.add_node(HERE / "ai_sdk" / "chats.mjs", AI_SDK, BY_CHAT, BY_COMPATIBLE, BY_OPENROUTER)
    return used


@pytest.mark.parametrize("wire", ON)
@pytest.mark.parametrize(("client", "use"), uses(OPENAI, LANGCHAIN, OPENROUTER, BY_CHAT, BY_COMPATIBLE, BY_OPENROUTER))
def test_a_user_of_chat_completions_gets(client: Client, use: str, wire: str, used: Uses) -> None:
    used.check(client, wire, use)
