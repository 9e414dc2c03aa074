"""Writes a conversation as Chat Completions messages; settings and tools are `request.py`'s."""

from __future__ import annotations

from typing import Any, assert_never

from msgspec import UNSET

from trunkline.adapters.encoding.caching import LOST_MARK, end_mark, marked
from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.encoding.turns import (
    AssistantTurn,
    ResultsTurn,
    Said,
    SystemTurn,
    Turn,
    UserTurn,
    images_as_user,
    merged,
    result_text,
    results_media_as_user,
    split_system,
    system_as_user,
    system_first,
    system_joined,
    turns,
)
from trunkline.adapters.media import file_link, fitted_detail, inline_file, sound, tidied, titled_text
from trunkline.adapters.thinking import UNSIGNED, Proof, replayable, told_summary
from trunkline.catalog.quirks import Quirks
from trunkline.errors import Unprocessable
from trunkline.protocol.growing import joined
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    InputAudio,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    InputVideo,
    Json,
    Message,
    OutputText,
    ReasoningItem,
)
from trunkline.protocol.marking import mark_of
from trunkline.protocol.request import Request


def encode_messages(draft: Draft) -> list[dict[str, Json]]:
    """Write the conversation, with the draft's hints among the leading instructions.

    Raises Unprocessable for a part that the endpoint has no words for, BadRequest for data that is not base64.
    """
    if draft.request.is_text_alone and not draft.hints and (texts := _texts(draft.request, draft.quirks)) is not None:
        return texts
    found = turns(draft.request)
    if len(found) > 1 and not draft.request.is_text_alone:
        found = results_media_as_user(images_as_user(found))
    if draft.hints:
        found = system_joined(found, draft.hints)
    if draft.quirks.system_role == "user":
        found = _system_into_user(found)
    elif draft.quirks.alternates_turns:
        found = merged(system_first(found))
    elif SystemTurn in map(type, found[1:]):
        found = system_joined(found) if draft.quirks.has_late_system else system_first(found)
    messages: list[dict[str, Json]] = []
    for turn in found:
        match turn:
            case UserTurn((InputText(text, cache_control=mark),)) if mark is UNSET:
                messages.append({"role": "user", "content": text})
            case UserTurn(parts):
                messages.append({"role": "user", "content": _encode_parts(draft, parts)})
            case SystemTurn(text, parts):
                content = _encode_parts(draft, parts) if parts else text
                messages.append({"role": draft.quirks.system_role, "content": content})
            case AssistantTurn():
                messages.append(_encode_assistant(draft, turn))
            case ResultsTurn(results):
                for result in results:
                    content = _encode_result(draft, result)
                    messages.append({"role": "tool", "tool_call_id": result.call_id, "content": content})
            case _:
                assert_never(turn)
    if draft.request.has_prefill and draft.quirks.prefill in ("prefix", "partial"):
        _mark_prefill(messages, draft.quirks.prefill)
    return messages


def _texts(request: Request, quirks: Quirks) -> list[dict[str, Json]] | None:
    """A conversation of texts whose messages all stay as they are, as most do, without its turns; None for any other.

    Instructions come first alone, nobody speaks twice running, and each says one text.
    """
    if quirks.system_role == "user" or quirks.reasoning_replay_is_required or request.has_prefill:
        return None
    messages: list[dict[str, Json]] = []
    before = ""
    if request.instructions:
        before = "system"
        messages.append({"role": quirks.system_role, "content": request.instructions})
    items: tuple[Message, ...] = request.input  # type: ignore[assignment]  # texts alone stand in messages
    for item in items:
        role, parts = item.role, item.content
        part = parts[0] if len(parts) == 1 else None
        kind = type(part)
        if part is None or role == before or (kind is not InputText and kind is not OutputText):
            return None
        text: str = part.text  # type: ignore[union-attr]  # narrowed by identity, for speed
        if not text or text.isspace() or (messages and role != "user" and role != "assistant"):
            return None
        before = role
        messages.append(
            {"role": role if role == "user" or role == "assistant" else quirks.system_role, "content": text}
        )
    return messages


def _mark_prefill(messages: list[dict[str, Json]], flag: str) -> None:
    if messages and messages[-1]["role"] == "assistant":
        messages[-1][flag] = True


def _system_into_user(found: list[Turn]) -> list[Turn]:
    """Put the leading instructions at the head of the first user turn, and mark the later ones."""
    leading, rest = split_system(found)
    rest = system_as_user(rest)
    if not leading:
        return rest
    if rest and isinstance(rest[0], UserTurn):
        return [UserTurn((*leading.pieces, *rest[0].parts)), *rest[1:]]
    return [UserTurn(leading.pieces), *rest]


def _encode_parts(draft: Draft, parts: tuple[InputPart, ...]) -> Json:
    """A string when all is text and nothing marked: many servers know lists only for models that see."""
    encoded = [_encode_part(draft, part) for part in parts]
    if draft.request.has_marks and any(mark_of(part) is not UNSET for part in parts):
        return [marked(block, mark_of(part)) for block, part in zip(encoded, parts, strict=True)]
    if all(part["type"] == "text" for part in encoded):
        texts = (part["text"] for part in encoded)
        return "\n\n".join(texts) if draft.request.size == "usual" else joined("\n\n", texts)
    return encoded


def _encode_part(draft: Draft, part: InputPart) -> dict[str, Any]:
    match part:
        case InputText(text):
            return {"type": "text", "text": text}
        case InputImage(image_url, detail):
            image = {"url": tidied(image_url)}
            if detail != "auto" and draft.quirks.has_image_detail:
                image["detail"] = fitted_detail(detail)
            return {"type": "image_url", "image_url": image}
        case InputAudio(format=form):
            data = sound(part).data
            if draft.quirks.audio_data == "data_url":
                data = f"data:;base64,{data}"
            return {"type": "input_audio", "input_audio": {"data": data, "format": form}}
        case InputVideo(video_url):
            return {"type": "video_url", "video_url": {"url": tidied(video_url)}}
        case InputFile():
            return _encode_file(draft, part)
        case _:
            assert_never(part)


def _encode_file(draft: Draft, part: InputFile) -> dict[str, Any]:
    """Text goes as text; other documents only where the endpoint reads them.

    Raises Unprocessable, and BadRequest when the data is not base64.
    """
    found = inline_file(part)
    if found is not None and found.is_text:
        return {"type": "text", "text": titled_text(part, found)}
    if found is not None and found.media_type.startswith("image/"):
        return {"type": "image_url", "image_url": {"url": found.url}}
    if not draft.accepts("file"):
        raise Unprocessable(f"{draft.endpoint.model.slug} reads no files at {draft.endpoint.provider.name}")
    if found is not None:
        name = part.filename or f"file.{found.extension}"
        return {"type": "file", "file": {"filename": name, "file_data": found.url}}
    link = file_link(part)
    if link and draft.quirks.file_links == "file_url":
        return {"type": "file_url", "file_url": {"url": link}}
    raise Unprocessable(f"{draft.endpoint.provider.name} takes files as data, not as links")


def _encode_assistant(draft: Draft, turn: AssistantTurn) -> dict[str, Json]:
    text, thoughts, calls = turn.apart()
    message: dict[str, Json] = {"role": "assistant", "content": text or (None if calls else "")}
    if draft.request.has_marks:
        _mark_assistant(draft, turn, message)
    signs_calls = draft.quirks.reasoning_replay == "thought_signature"
    if not signs_calls and (thoughts or draft.quirks.reasoning_replay_is_required):
        _encode_thoughts(draft, thoughts, message)
    if calls:
        message["tool_calls"] = [_encode_call(call) for call in calls]
    if signs_calls:
        _sign_calls(draft, turn, message)
    return message


def _mark_assistant(draft: Draft, turn: AssistantTurn, message: dict[str, Json]) -> None:
    """Write the text in parts where one of them is marked; a call has no place for a mark."""
    said = [piece for piece in turn.pieces if isinstance(piece, Said)]
    if any(piece.mark is not UNSET for piece in said):
        message["content"] = [marked({"type": "text", "text": piece.text}, piece.mark) for piece in said]
    if any(mark_of(piece) is not UNSET for piece in turn.pieces):
        draft.dropped.append(LOST_MARK)


def _encode_result(draft: Draft, result: FunctionCallOutput) -> Json:
    """What a tool gave back, as text; marked where it is, or where what it ends with is."""
    text = result_text(result)
    if not draft.request.has_marks:
        return text
    parts = result.output if isinstance(result.output, tuple) else ()
    mark = end_mark(result)
    if any(mark_of(part) is not UNSET for part in parts[:-1]):
        draft.dropped.append(LOST_MARK)
    return text if mark is UNSET else [marked({"type": "text", "text": text}, mark)]


def _encode_call(call: FunctionCallItem) -> dict[str, Json]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": call.call_id, "type": "function", "function": function}


def _sign_calls(draft: Draft, turn: AssistantTurn, message: dict[str, Any]) -> None:
    """Put each signature on the call that its thought led to; of parallel calls only the first carries one.

    Those of texts, which Gemini's own dialect has too, have no place here.
    """
    written = iter(message.get("tool_calls", ()))
    signature = UNSIGNED if draft.quirks.reasoning_replay_is_required else ""
    for piece in turn.pieces:
        if isinstance(piece, ReasoningItem):
            proof = replayable(piece, draft.endpoint)
            if proof is not None and proof.signature:
                _lose(draft, signature)
                signature = proof.signature
        elif isinstance(piece, FunctionCallItem):
            call = next(written)
            if signature:
                call["extra_content"] = {"google": {"thought_signature": signature}}
            signature = ""
    _lose(draft, signature)


def _lose(draft: Draft, proof: str) -> None:
    if proof not in ("", UNSIGNED):
        draft.dropped.append("input.reasoning")


def _encode_thoughts(draft: Draft, items: list[ReasoningItem], message: dict[str, Json]) -> None:
    quirks = draft.quirks
    proofs = [replayable(item, draft.endpoint) for item in items]
    fitting = [(item, proof) for item, proof in zip(items, proofs, strict=True) if proof is not None]
    is_missed = quirks.reasoning_replay_is_required and _has_tools(draft.request)
    if quirks.reasoning_replay == "reasoning_details":
        details = [entry for item, proof in fitting for entry in _encode_details(item, proof)]
        if not details and is_missed:
            details = [{"type": "reasoning.text", "text": " "}]
        if details:
            message["reasoning_details"] = details
        return
    for _, proof in fitting:
        _lose(draft, proof.signature or proof.blob)
    if quirks.reasoning_replay == "never":
        return
    text = "\n\n".join(proof.text for _, proof in fitting if proof.text) or (" " if is_missed else "")
    if text:
        message[quirks.reasoning_replay] = text


def _encode_details(item: ReasoningItem, proof: Proof) -> list[dict[str, Json]]:
    entries: list[dict[str, Json]] = []
    text = "".join(part.text for part in item.content or ())
    summary = told_summary(item, proof)
    if proof.signature:
        entries.append({"type": "reasoning.text", "text": proof.text, "signature": proof.signature})
    elif text and summary == item.summary:
        entries.append({"type": "reasoning.text", "text": text})
    entries += [{"type": "reasoning.summary", "summary": part.text} for part in summary]
    if proof.blob:
        sealed = {"type": "reasoning.encrypted", "data": proof.blob}
        if proof.item_id:
            sealed["id"] = proof.item_id
        entries.append(sealed)
    if proof.form:
        for entry in entries:
            entry["format"] = proof.form
    return entries


def _has_tools(request: Request) -> bool:
    return bool(request.tools) or FunctionCallItem in map(type, request.input)
