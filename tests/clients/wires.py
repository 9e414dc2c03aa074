"""The wires of a scripted model: what a request asks, whatever its wire, and an answer in the wire's own events.

Sources, all seen 2026-11-27: https://platform.openai.com/docs/api-reference/chat-streaming,
https://docs.anthropic.com/en/docs/build-with-claude/streaming, https://ai.google.dev/api/generate-content.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call of a function by the name it was offered under; `output` is what came of it, if that is known."""

    name: str
    arguments: Mapping[str, Any]
    id: str = ""
    output: str | None = None


@dataclass(frozen=True)
class Page:
    """A page that a search found."""

    title: str
    url: str


@dataclass(frozen=True)
class Search:
    """A search that the provider made by itself."""

    query: str
    pages: Sequence[Page]


@dataclass(frozen=True)
class Answer:
    """What the model says: words, then calls. `proof` stands for a thought before them, `search` for one between."""

    text: str = ""
    calls: Sequence[Call] = ()
    proof: str = ""
    search: Search | None = None


@dataclass
class Asked:
    """What a request holds, in its order: `offers` are schemas by name, `pictures` data URLs, `calls` the history's.

    `natives` says of a name what an item that calls it holds, on a wire that has more than functions.
    """

    offers: dict[str, Json] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    proofs: list[str] = field(default_factory=list)
    natives: dict[str, Json] = field(default_factory=dict)

    def offer(self, name: str, description: str, schema: Json) -> None:
        assert name not in self.offers, f"{name} is offered twice"
        self.offers[name] = schema
        self.descriptions[name] = description

    def answer_call(self, at: int, output: str) -> None:
        call = self.calls[at]
        assert call.output is None, f"two results for one call of {call.name}"
        self.calls[at] = Call(call.name, call.arguments, call.id, output)

    def answer_id(self, call_id: str, output: str) -> None:
        (at,) = (at for at, call in enumerate(self.calls) if call.id == call_id)
        self.answer_call(at, output)


class Chat:
    """Chat Completions."""

    path = "/chat/v1"
    quirks = ""
    has_proofs = False

    @staticmethod
    def read(body: Json) -> Asked:
        asked = Asked()
        for tool in body.get("tools", ()):
            function = tool["function"]
            asked.offer(function["name"], function.get("description", ""), function["parameters"])
        for message in body["messages"]:
            match message["role"]:
                case "tool":
                    asked.answer_id(message["tool_call_id"], _text(message["content"], asked))
                case "assistant":
                    asked.words.append(_text(message.get("content") or "", asked))
                    for call in message.get("tool_calls", ()):
                        function = call["function"]
                        asked.calls.append(Call(function["name"], json.loads(function["arguments"]), call["id"]))
                case _:
                    asked.words.append(_text(message["content"], asked))
        return asked

    @classmethod
    def whole(cls, answer: Answer, asked: Asked) -> Json:
        message: Json = {"role": "assistant", "content": answer.text or None}
        if answer.calls:
            message["tool_calls"] = [cls._call(call) for call in answer.calls]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if answer.calls else "stop"}
        return {**cls._frame("chat.completion"), "choices": [choice], "usage": cls._USAGE}

    @classmethod
    def stream(cls, answer: Answer, asked: Asked) -> Iterator[Any]:
        deltas: list[Json] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in _pieces(answer.text)]
        for index, call in enumerate(answer.calls):
            opening = {**cls._call(call), "index": index}
            opening["function"] = {"name": call.name, "arguments": ""}
            deltas.append({"tool_calls": [opening]})
            deltas += [
                {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
                for piece in _pieces(json.dumps(call.arguments))
            ]
        frame = cls._frame("chat.completion.chunk")
        for delta in deltas:
            yield {**frame, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        finish = "tool_calls" if answer.calls else "stop"
        yield {**frame, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}
        yield {**frame, "choices": [], "usage": cls._USAGE}
        yield "[DONE]"

    _USAGE: ClassVar[Json] = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}

    @staticmethod
    def _frame(kind: str) -> Json:
        return {"id": "c1", "object": kind, "created": 1, "model": "scripted"}

    @staticmethod
    def _call(call: Call) -> Json:
        function = {"name": call.name, "arguments": json.dumps(call.arguments)}
        return {"id": call.id, "type": "function", "function": function}


class Messages:
    """Messages, as of Anthropic."""

    path = "/messages/v1"
    quirks = ""
    has_proofs = True

    @staticmethod
    def read(body: Json) -> Asked:
        asked = Asked()
        for tool in body.get("tools", ()):
            if "input_schema" in tool:  # others are the provider's own, as its search
                asked.offer(tool["name"], tool.get("description", ""), tool["input_schema"])
        asked.words.append(_text(body.get("system", ""), asked))
        for message in body["messages"]:
            for block in _blocks(message["content"]):
                match block["type"]:
                    case "thinking":
                        asked.proofs.append(block["signature"])
                    case "redacted_thinking":
                        asked.proofs.append(block["data"])
                    case "tool_use":
                        asked.calls.append(Call(block["name"], block["input"], block["id"]))
                    case "tool_result":
                        asked.answer_id(block["tool_use_id"], _text(block.get("content", ""), asked))
                    case "server_tool_use" | "web_search_tool_result":
                        pass  # the provider's own, told again
                    case _:
                        asked.words.append(_text([block], asked))
        return asked

    @classmethod
    def whole(cls, answer: Answer, asked: Asked) -> Json:
        content: list[Json] = []
        if answer.proof:
            thought = f"Hm: {answer.proof[7:15]}."  # one client takes what it has seen before for the same
            content.append({"type": "thinking", "thinking": thought, "signature": answer.proof})
        if answer.search is not None:
            content += cls._searched(answer.search)
        if answer.text:
            content.append({"type": "text", "text": answer.text})
        content += [{"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in answer.calls]
        return {**cls._opening(answer), "content": content, "stop_reason": cls._reason(answer)}

    @classmethod
    def stream(cls, answer: Answer, asked: Asked) -> Iterator[Any]:
        yield {"type": "message_start", "message": {**cls._opening(answer), "content": [], "stop_reason": None}}
        for index, block in enumerate(cls.whole(answer, asked)["content"]):
            empty, deltas = cls._parts(block)
            yield {"type": "content_block_start", "index": index, "content_block": empty}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}
        delta = {"stop_reason": cls._reason(answer), "stop_sequence": None}
        yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 3}}
        yield {"type": "message_stop"}

    @staticmethod
    def _parts(block: Json) -> tuple[Json, list[Json]]:
        """A block as it is opened, and what then is told of it."""
        match block["type"]:
            case "thinking":
                thought = {"type": "thinking_delta", "thinking": block["thinking"]}
                proof = {"type": "signature_delta", "signature": block["signature"]}
                return {"type": "thinking", "thinking": "", "signature": ""}, [thought, proof]
            case "text":
                return {**block, "text": ""}, [{"type": "text_delta", "text": p} for p in _pieces(block["text"])]
            case "web_search_tool_result":
                return block, []
            case _:
                pieces = _pieces(json.dumps(block["input"]))
                return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": p} for p in pieces]

    @staticmethod
    def _searched(search: Search) -> list[Json]:
        sealed = {"type": "web_search_result", "encrypted_content": "RmFrZQ==", "page_age": None}
        found = [{**sealed, "title": page.title, "url": page.url} for page in search.pages]
        use = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": search.query}}
        return [use, {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": found}]

    @staticmethod
    def _opening(answer: Answer) -> Json:
        usage = {"input_tokens": 7, "output_tokens": 3}
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "usage": usage}

    @staticmethod
    def _reason(answer: Answer) -> str:
        return "tool_use" if answer.calls else "end_turn"


class Gemini:
    """generateContent, as of Google; its calls have no ids, so that results belong to them by name and order."""

    path = "/gemini/v1beta"
    quirks = ""
    has_proofs = True

    @staticmethod
    def read(body: Json) -> Asked:
        asked = Asked()
        for tool in body.get("tools", ()):
            for offer in tool.get("functionDeclarations", ()):
                schema = offer.get("parametersJsonSchema") or offer.get("parameters") or {"type": "object"}
                asked.offer(offer["name"], offer.get("description", ""), schema)
        system = body.get("systemInstruction", {"parts": []})
        for part in [*system["parts"], *(part for content in body["contents"] for part in content["parts"])]:
            Gemini._read_part(part, asked)
        return asked

    @staticmethod
    def _read_part(part: Json, asked: Asked) -> None:
        if "thoughtSignature" in part:
            asked.proofs.append(part["thoughtSignature"])
        match part:
            case {"functionCall": call}:
                asked.calls.append(Call(call["name"], call.get("args", {})))
            case {"functionResponse": result}:
                waiting = (at for at, c in enumerate(asked.calls) if c.output is None and c.name == result["name"])
                _read_inline(result.get("parts", ()), asked)
                asked.answer_call(next(waiting), json.dumps(result["response"], ensure_ascii=False))
            case {"inlineData": _}:
                _read_inline([part], asked)
            case {"text": text} if not part.get("thought"):
                asked.words.append(text)

    @classmethod
    def whole(cls, answer: Answer, asked: Asked) -> Json:
        parts: list[Json] = [{"text": "Hm.", "thought": True}] if answer.proof else []
        if answer.text:
            parts.append({"text": answer.text})
        parts += [{"functionCall": {"name": call.name, "args": call.arguments}} for call in answer.calls]
        if answer.proof:
            # The first call of an answer carries it, or the text of one without calls.
            parts[-len(answer.calls) or -1]["thoughtSignature"] = answer.proof
        return cls._frame(parts, "STOP")

    @classmethod
    def stream(cls, answer: Answer, asked: Asked) -> Iterator[Any]:
        parts = cls.whole(answer, asked)["candidates"][0]["content"]["parts"]
        for part in parts[:-1]:
            yield cls._frame([part])
        yield cls._frame(parts[-1:], "STOP")

    @staticmethod
    def _frame(parts: list[Json], finish: str = "") -> Json:
        candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
        if finish:
            candidate["finishReason"] = finish
        usage = {"promptTokenCount": 7, "candidatesTokenCount": 3, "totalTokenCount": 10}
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "scripted"}


class Responses:
    """The Responses API, with what Codex adds to it; nothing of it is a function of another name here."""

    path = "/responses/v1"
    quirks = "has_openai_tools = true"
    has_proofs = True

    @classmethod
    def read(cls, body: Json) -> Asked:
        asked = Asked()
        for tool in body.get("tools", ()):
            cls._offer(tool, asked)
        for item in body["input"]:
            match item["type"]:
                case "message" | "agent_message":
                    asked.words.append(cls._text(item["content"], asked))
                case "reasoning":
                    asked.proofs.append(item["encrypted_content"])
                case "additional_tools":
                    for tool in item["tools"]:
                        cls._offer(tool, asked)
                case "tool_search_output":
                    for tool in item["tools"]:
                        cls._offer(tool, asked)
                    asked.answer_id(item["call_id"], json.dumps(item["tools"]))
                case "function_call_output" | "custom_tool_call_output":
                    asked.answer_id(item["call_id"], cls._text(item["output"], asked))
                case kind:
                    asked.calls.append(cls._called(kind, item))
        return asked

    @classmethod
    def _offer(cls, tool: Json, asked: Asked, space: str = "") -> None:
        prefix = f"{space}__" if space else ""
        member = {"namespace": space} if space else {}
        match tool["type"]:
            case "namespace":
                for child in tool["tools"]:
                    cls._offer(child, asked, tool["name"] if tool["name"] != "functions" else "")
            case "custom":
                schema = {"type": "object", "properties": {"input": {"type": "string"}}}
                asked.offer(prefix + tool["name"], tool["description"], schema)
                asked.natives[prefix + tool["name"]] = {"type": "custom_tool_call", "name": tool["name"], **member}
            case "tool_search":
                asked.offer("tool_search", tool["description"], tool["parameters"])
                asked.natives["tool_search"] = {"type": "tool_search_call", "execution": "client"}
            case "function":
                asked.offer(prefix + tool["name"], tool["description"], tool["parameters"])
                asked.natives[prefix + tool["name"]] = {"type": "function_call", "name": tool["name"], **member}

    @staticmethod
    def _called(kind: str, item: Json) -> Call:
        prefix = f"{item['namespace']}__" if item.get("namespace") else ""
        match kind:
            case "function_call":
                return Call(prefix + item["name"], json.loads(item["arguments"]), item["call_id"])
            case "custom_tool_call":
                return Call(prefix + item["name"], {"input": item["input"]}, item["call_id"])
            case "tool_search_call":
                return Call("tool_search", item["arguments"], item["call_id"])
        raise AssertionError(f"an item that the script does not know: {item}")

    @classmethod
    def whole(cls, answer: Answer, asked: Asked) -> Json:
        output: list[Json] = []
        if answer.proof:
            output.append({"type": "reasoning", "summary": [], "encrypted_content": answer.proof})
        if answer.search is not None:
            output.append(cls._searched(answer.search))
        if answer.text:
            content = [{"type": "output_text", "text": answer.text, "annotations": cls._cited(answer)}]
            output.append({"type": "message", "role": "assistant", "status": "completed", "content": content})
        output += [cls._item(call, asked) for call in answer.calls]
        output = [{**item, "id": f"item_{at}_{answer.proof}"} for at, item in enumerate(output)]
        return {**cls._opening(), "status": "completed", "output": output, "usage": cls._USAGE}

    @staticmethod
    def _searched(search: Search) -> Json:
        sources = [{"type": "url", "url": page.url} for page in search.pages]
        action = {"type": "search", "query": search.query, "queries": [search.query], "sources": sources}
        return {"type": "web_search_call", "status": "completed", "action": action}

    @staticmethod
    def _cited(answer: Answer) -> list[Json]:
        pages = answer.search.pages if answer.search is not None else ()
        place = {"type": "url_citation", "start_index": 0, "end_index": len(answer.text)}
        return [{**place, "title": page.title, "url": page.url} for page in pages]

    @classmethod
    def stream(cls, answer: Answer, asked: Asked) -> Iterator[Any]:
        final = cls.whole(answer, asked)
        yield {"type": "response.created", "response": cls._opening()}
        for index, item in enumerate(final["output"]):
            yield {"type": "response.output_item.added", "output_index": index, "item": item}
            if item["type"] == "message":
                place = {"item_id": item["id"], "output_index": index, "content_index": 0}
                for piece in _pieces(answer.text):
                    yield {"type": "response.output_text.delta", **place, "delta": piece}
            yield {"type": "response.output_item.done", "output_index": index, "item": item}
        yield {"type": "response.completed", "response": final}

    @staticmethod
    def _item(call: Call, asked: Asked) -> Json:
        item = {"call_id": call.id, "status": "completed", **asked.natives[call.name]}
        match item["type"]:
            case "custom_tool_call":
                item["input"] = call.arguments["input"]
            case "tool_search_call":
                item["arguments"] = call.arguments
            case _:
                item["arguments"] = json.dumps(call.arguments)
        return item

    _USAGE: ClassVar[Json] = {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }

    @staticmethod
    def _opening() -> Json:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1,
            "status": "in_progress",
            "model": "x",
            "output": [],
        }

    @staticmethod
    def _text(content: str | Sequence[Json], asked: Asked) -> str:
        blocks = [{"type": "input_text", "text": content}] if isinstance(content, str) else content
        asked.pictures += [block["image_url"] for block in blocks if block["type"] == "input_image"]
        return "\n".join(block["text"] for block in blocks if "text" in block)


Wire = type[Chat] | type[Messages] | type[Gemini] | type[Responses]

WIRES: dict[str, Wire] = {"chat": Chat, "messages": Messages, "gemini": Gemini, "responses": Responses}
"""By the first segment of the path, which is the dialect's name too."""


def _pieces(text: str, size: int = 40) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def _blocks(content: str | Sequence[Json]) -> Sequence[Json]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(content: str | Iterable[Json], asked: Asked) -> str:
    """The words of a content; its pictures are kept in `asked`."""
    if isinstance(content, str):
        return content
    words = []
    for block in content:
        match block:
            case {"type": "text", "text": str(text)}:
                words.append(text)
            case {"type": "image_url", "image_url": {"url": str(url)}}:
                asked.pictures.append(url)
            case {"type": "image", "source": {"media_type": kind, "data": data}}:
                asked.pictures.append(f"data:{kind};base64,{data}")
            case {"type": "tool_reference", "tool_name": str(name)}:
                words.append(name)
            case _:
                raise AssertionError(f"a block that no provider knows: {block}")
    return "\n".join(words)


def _read_inline(parts: Iterable[Json], asked: Asked) -> None:
    for part in parts:
        data = part["inlineData"]
        asked.pictures.append(f"data:{data['mimeType']};base64,{data['data']}")
