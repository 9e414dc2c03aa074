"""Writes the conversation as Gemini reads it: contents of parts, with each signature on the part it came on.

It knows no settings and no tools. Sources: https://ai.google.dev/api/caching#Content and
https://ai.google.dev/gemini-api/docs/thought-signatures, seen 2026-11-22.
"""

from __future__ import annotations

from typing import assert_never

from msgspec import Raw

from trunkline.adapters import media
from trunkline.adapters.decoding.strange import read_loosely
from trunkline.adapters.encoding.draft import Draft
from trunkline.adapters.encoding.rounds import OPENING
from trunkline.adapters.encoding.tools import arguments_object
from trunkline.adapters.encoding.turns import (
    RESULT_NOTE,
    AssistantPiece,
    AssistantTurn,
    ResultsTurn,
    Said,
    SystemTurn,
    Turn,
    UserTurn,
    call_names,
    result_media,
    result_text,
    turns,
)
from trunkline.adapters.thinking import UNSIGNED, replayable
from trunkline.errors import BadRequest, Unprocessable
from trunkline.protocol.items import (
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputAudio,
    InputFile,
    InputImage,
    InputPart,
    InputText,
    InputVideo,
    Json,
    ReasoningItem,
)
from trunkline.protocol.opaque import AnthropicItem

Part = dict[str, Json]


def encode_turns(draft: Draft) -> None:
    """Write the system text, from wherever it stood, and the contents, in which roles alternate."""
    system: list[str] = []
    spoken: list[Turn] = []
    for turn in turns(draft.request, keeps_last_thought=True):
        if isinstance(turn, SystemTurn):
            system.append(turn.text)
        else:
            spoken.append(turn)
    system += draft.hints
    if not spoken:
        spoken, system = [UserTurn((InputText("\n\n".join(system)),))], []
    if isinstance(spoken[0], AssistantTurn):
        spoken.insert(0, OPENING)
    if system:
        draft.body["systemInstruction"] = {"parts": [{"text": "\n\n".join(system)}]}
    names = call_names(draft.request.input)
    contents: list[dict[str, Json]] = []
    for turn in spoken:
        role, parts = _encode_turn(draft, turn, names)
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    draft.body["contents"] = contents


def _encode_turn(draft: Draft, turn: Turn, names: dict[str, str]) -> tuple[str, list[Part]]:
    match turn:
        case UserTurn(parts):
            return "user", [_encode_part(draft, part) for part in parts]
        case AssistantTurn(pieces):
            return "model", _encode_pieces(draft, pieces)
        case ResultsTurn(results):
            answers = [_encode_result(draft, result, names) for result in results]
            shown = [_encode_part(draft, part) for result in results for part in result_media(result)]
            return "user", [*answers, {"text": RESULT_NOTE}, *shown] if shown else answers
        case SystemTurn(text):
            return "user", [{"text": text}]
        case _:
            assert_never(turn)


def _encode_pieces(draft: Draft, pieces: tuple[AssistantPiece, ...]) -> list[Part]:
    """What the model said, with each signature on the part that follows its thought.

    One that no part follows stood on an empty text of its own at the end, and goes back so.
    """
    parts: list[Part] = []
    signature = ""
    for piece in pieces:
        if isinstance(piece, ReasoningItem):
            proof = replayable(piece, draft.endpoint)
            if proof is not None and proof.signature:
                parts += _alone(signature)
                signature = proof.signature
            continue
        part = _encode_piece(draft, piece)
        if part is None:
            continue
        if signature:
            part["thoughtSignature"] = signature
        elif draft.quirks.reasoning_replay_is_required and _must_be_signed(part, parts):
            part["thoughtSignature"] = UNSIGNED
        parts.append(part)
        signature = ""
    return parts + _alone(signature)


def _alone(signature: str) -> list[Part]:
    return [{"text": "", "thoughtSignature": signature}] if signature else []


def _must_be_signed(part: Part, before: list[Part]) -> bool:
    """Of parallel calls only the first carries a signature."""
    return "functionCall" in part and not any("functionCall" in other for other in before)


def _encode_piece(draft: Draft, piece: Said | FunctionCallItem | ImageGenerationCall | AnthropicItem) -> Part | None:
    match piece:
        case Said(text):
            return {"text": text}
        case FunctionCallItem(call_id=call_id, name=name, arguments=arguments):
            return {"functionCall": {**_id(draft, call_id), "name": name, "args": arguments_object(arguments)}}
        case ImageGenerationCall(result=result):
            if not result:
                return None
            found = media.inline(result if ":" in result[:8] else f"data:image/png;base64,{result}")
            return _inline(found) if found is not None else None
        case AnthropicItem():
            return None
        case _:
            assert_never(piece)


def _id(draft: Draft, call_id: str) -> Part:
    return {"id": call_id} if draft.quirks.has_call_ids else {}


def _encode_result(draft: Draft, result: FunctionCallOutput, names: dict[str, str]) -> Part:
    text = result_text(result)
    name = names.get(result.call_id, result.call_id)
    return {"functionResponse": {**_id(draft, result.call_id), "name": name, "response": _response(text)}}


def _response(text: str) -> Json:
    """A JSON object as it is, a JSON list under `output`, and any other text there too."""
    if text.lstrip()[:1] in ("{", "["):
        read = read_loosely(text)
        if read is None:
            return {"output": text}
        # As it came: reading and writing again could change its numbers.
        return Raw(text.encode()) if isinstance(read, dict) else {"output": Raw(text.encode())}
    return {"output": text}


# Parts


def _encode_part(draft: Draft, part: InputPart) -> Part:
    match part:
        case InputText(text):
            return {"text": text}
        case InputImage(image_url):
            return _linked_or_inline(image_url, "image/jpeg")
        case InputVideo(video_url):
            return _linked_or_inline(video_url, "video/mp4")
        case InputAudio():
            return _inline(media.sound(part))
        case InputFile():
            return _encode_file(draft, part)
        case _:
            assert_never(part)


def _encode_file(draft: Draft, part: InputFile) -> Part:
    """Raises Unprocessable, and BadRequest when the data is not base64."""
    found = media.inline_file(part)
    if found is not None and found.is_text:
        return {"text": media.titled_text(part, found)}
    if found is not None and found.media_type.startswith("image/"):
        return _inline(found)
    if not draft.accepts("file"):
        raise Unprocessable(f"{draft.endpoint.model.slug} reads no files at {draft.endpoint.provider.name}")
    if found is not None:
        return _inline(found)
    link = media.file_link(part) or part.file_url
    if not link:
        raise BadRequest("a file needs its data or a link")
    otherwise = "video/mp4" if media.is_film_page(link) else "application/pdf"
    return _linked(link, media.media_type_of(part.filename or "") or otherwise)


def _linked_or_inline(url: str, otherwise: str) -> Part:
    found = media.inline(url)
    return _linked(url, otherwise) if found is None else _inline(found)


def _inline(found: media.Inline) -> Part:
    return {"inlineData": {"mimeType": found.media_type, "data": found.data}}


def _linked(url: str, otherwise: str) -> Part:
    """A link with the media type its name suggests, else the usual one: Vertex takes no link without a type."""
    return {"fileData": {"mimeType": media.media_type_of(url) or otherwise, "fileUri": media.film_page(url)}}
