"""The content blocks of a Messages answer: how each kind begins, and those of a whole answer while they grow.

Which block is open and when it ends is `telling.py`'s; the same blocks as frames of a stream are `frames.py`'s.

Source: https://platform.claude.com/docs/en/api/messages and the types of the anthropic Python package 2.14, both seen
2026-11-28.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec
from msgspec import Raw

from trunkline.faces.contract import Answering
from trunkline.faces.messages.form import MessagesForm
from trunkline.protocol.items import Annotation, FileCitation, FilePath, Json, UrlCitation
from trunkline.protocol.render import render_document
from trunkline.stream.deltas import Found
from trunkline.wire import UNREADABLE

Block = dict[str, Json]


class Growth(NamedTuple):
    """How a kind of block grows: its member, and the type of the piece and its member that go on with that."""

    member: str
    piece: str
    piece_member: str


TEXT: Final = Growth("text", "text_delta", "text")
THOUGHT: Final = Growth("thinking", "thinking_delta", "thinking")
INPUT: Final = Growth("input", "input_json_delta", "partial_json")


class Blocks(Protocol):
    """Takes one answer: its message, and its blocks, one after the other, each of which begins, may grow and ends."""

    def start(self, message: Block, estimated_input_tokens: int) -> None:
        """Begin with the message, as far as it is known."""
        ...

    def begin_text(self) -> None:
        """Begin a text, which is empty yet."""
        ...

    def begin(self, block: Block, growth: Growth | None = None) -> None:
        """Begin a block as it stands before it has grown, or one that is whole."""
        ...

    def add(self, text: str) -> None:
        """Go on with the block."""
        ...

    def add_all(self, texts: Sequence[str]) -> None:
        """Go on with the block by several texts."""
        ...

    def go_on(self, texts: Sequence[str]) -> bytes:
        """Add several texts, before which all that can leave has left; give what can leave of them."""
        ...

    def cite(self, citation: Json) -> None:
        """Put a citation on the block, which is a text."""
        ...

    def sign(self, signature: str) -> None:
        """Put the proof on the block, which is a thought."""
        ...

    def finish(self) -> None:
        """End the block."""
        ...

    def cut(self) -> None:
        """End the block, which is a call that its model did not finish."""
        ...

    def take(self) -> bytes:
        """Give what can leave."""
        ...

    def end(self, ending: Block, usage: Json, own: Block | None) -> bytes:
        """Give the rest, with how the message ended, what it used, and what Anthropic said of it."""
        ...

    def fail(self, error: Json) -> bytes:
        """Give what is told in place of the end."""
        ...


class WholeBlocks:
    """The blocks of an answer that is told whole. A call that was cut is none of them."""

    __slots__ = ("_growth", "_message", "_pieces")

    def __init__(self) -> None:
        self._message: Block = {}
        self._pieces: list[str] = []
        self._growth: Growth | None = None

    @property
    def _latest(self) -> Block:
        block: Block = self._message["content"][-1]
        return block

    def start(self, message: Block, estimated_input_tokens: int) -> None:
        self._message = message

    def begin_text(self) -> None:
        self._message["content"].append(new_text())
        self._growth = TEXT

    def begin(self, block: Block, growth: Growth | None = None) -> None:
        self._message["content"].append(block)
        self._growth = growth

    def add(self, text: str) -> None:
        self._pieces.append(text)

    def add_all(self, texts: Sequence[str]) -> None:
        self._pieces += texts

    def go_on(self, texts: Sequence[str]) -> bytes:
        self._pieces += texts
        return b""

    def cite(self, citation: Json) -> None:
        self._latest.setdefault("citations", []).append(citation)

    def sign(self, signature: str) -> None:
        self._latest["signature"] = signature

    def finish(self) -> None:
        grown, growth = "".join(self._pieces), self._growth
        self._pieces.clear()
        if growth is not None:
            self._message["content"][-1][growth.member] = _as_input(grown) if growth is INPUT else grown

    def cut(self) -> None:
        self._pieces.clear()
        self._message["content"].pop()

    def take(self) -> bytes:
        return b""

    def end(self, ending: Block, usage: Json, own: Block | None) -> bytes:
        return render_document({**self._message, **ending, "usage": usage, **(own or {})})

    def fail(self, error: Json) -> bytes:
        return render_document(error)


def new_message(answering: Answering, form: MessagesForm) -> Block:
    """A message that says nothing yet."""
    return {
        "id": "msg_" + answering.id.removeprefix("resp_"),
        "type": "message",
        "role": "assistant",
        "model": form.model or answering.model,
        "content": [],
    }


def new_text() -> Block:
    """An empty text."""
    return {"type": "text", "text": ""}


def new_thought() -> Block:
    """An empty thought."""
    return {"type": "thinking", "thinking": "", "signature": ""}


def hidden_thought(data: str) -> Block:
    """A thought of which nothing is told but its proof."""
    return {"type": "redacted_thinking", "data": data}


def new_call(call_id: str, name: str, own: Block | None = None) -> Block:
    """A call without its input; `own` is what Anthropic said of it, as who called."""
    return {"type": "tool_use", "id": call_id, "name": name, "input": {}, **(own or {})}


def new_search(search_id: str) -> Block:
    """A search without what it looks for."""
    return {"type": "server_tool_use", "id": search_id, "name": "web_search", "input": {}}


def search_results(search_id: str, found: Iterable[Found]) -> Block:
    """What a search found. Nobody but Anthropic seals it; a page without a title goes by its address."""
    results = [
        {
            "type": "web_search_result",
            "url": page.url,
            "title": page.title or page.url,
            "encrypted_content": page.sealed or "",
            "page_age": page.age,
        }
        for page in found
    ]
    return {"type": "web_search_tool_result", "tool_use_id": search_id, "content": results}


def search_failure(search_id: str) -> Block:
    """A search that came to nothing."""
    error = {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    return {"type": "web_search_tool_result", "tool_use_id": search_id, "content": error}


def citation_of(annotation: Annotation) -> Block | None:
    """A citation as it hangs on a text; None for what is no source.

    What the source says there, and where in a file, nobody told us.
    """
    match annotation:
        case UrlCitation(url=url, title=title):
            return {
                "type": "web_search_result_location",
                "url": url,
                "title": title or None,
                "encrypted_index": "",
                "cited_text": "",
            }
        case FileCitation(file_id=file_id, filename=filename, index=index):
            return {
                "type": "char_location",
                "cited_text": "",
                "document_index": index,
                "document_title": filename or None,
                "file_id": file_id or None,
                "start_char_index": 0,
                "end_char_index": 0,
            }
        case FilePath():
            return None


def put_whole(blocks: Blocks, block: Block) -> None:
    """Tell a block that came whole. The input of a call is told as it grows: clients take none from its beginning."""
    if isinstance(block.get("input"), dict) and block["type"].endswith("tool_use"):
        blocks.begin({**block, "input": {}}, INPUT)
        blocks.add(render_document(block["input"]).decode())
    else:
        blocks.begin({**block})
    blocks.finish()


def _as_input(arguments: str) -> Json:
    """Arguments as the object that they are, to the byte; anything else is wrapped, as it is sent back."""
    try:
        if isinstance(msgspec.json.decode(arguments), dict):
            return Raw(arguments.encode())
    except UNREADABLE:
        pass
    return {"_raw": arguments}
