"""Groups the items of a request into the turns that upstream dialects are built from.

Does not encode anything: an adapter walks the turns and writes them in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

from msgspec import Struct

from trunkline.adapters.encoding.histories import settled
from trunkline.protocol.items import (
    FileSearchCall,
    FunctionCallItem,
    FunctionCallOutput,
    ImageGenerationCall,
    InputImage,
    InputItem,
    InputPart,
    InputText,
    Message,
    MessagePart,
    OutputText,
    PlainItem,
    ReasoningItem,
    RefusalPart,
    WebSearchCall,
)
from trunkline.protocol.request import Request

IMAGE_NOTE = "An image generated earlier in this conversation:"
RESULT_NOTE = "What the tools returned besides text:"
SYSTEM_PREFIX = "[System note]\n"


class SystemTurn(Struct, frozen=True):
    """Instructions, or a system or developer message; never empty."""

    text: str


class UserTurn(Struct, frozen=True):
    """What the user said; `parts` is never empty and holds no empty text."""

    parts: tuple[InputPart, ...]


class Said(Struct, frozen=True):
    """The text of one assistant message, refusals included; never empty."""

    text: str


AssistantPiece = Said | ReasoningItem | FunctionCallItem | ImageGenerationCall


class AssistantTurn(Struct, frozen=True):
    """What the model did before somebody else spoke, in order; at least one piece is not a thought.

    A `ReasoningItem` belongs to the next piece of another kind, and the last piece is of another kind unless `turns`
    was asked to keep the last thought.
    """

    pieces: tuple[AssistantPiece, ...]

    @property
    def text(self) -> str:
        """Everything said, messages apart by a blank line."""
        return "\n\n".join(piece.text for piece in self.pieces if isinstance(piece, Said))

    @property
    def thoughts(self) -> list[ReasoningItem]:
        return [piece for piece in self.pieces if isinstance(piece, ReasoningItem)]

    @property
    def calls(self) -> list[FunctionCallItem]:
        return [piece for piece in self.pieces if isinstance(piece, FunctionCallItem)]


class ResultsTurn(Struct, frozen=True):
    """What the client's tools gave back, in the client's order."""

    results: tuple[FunctionCallOutput, ...]


Turn = SystemTurn | UserTurn | AssistantTurn | ResultsTurn


def turns(request: Request, *, keeps_last_thought: bool = False) -> list[Turn]:
    """Group the input; `instructions` come first as a system turn.

    Adjacent assistant items make one turn, as do adjacent results, which follow their calls (see `settled`); user and
    system messages stay apart (see `merged`). Search calls carry nothing a model can read and are left out, as are
    empty texts and thoughts that nothing follows; `keeps_last_thought` is for a dialect that signs what stands before
    the thought.
    """
    found: list[Turn] = []
    if request.instructions:
        found.append(SystemTurn(request.instructions))
    pieces: list[AssistantPiece] = []
    results: list[FunctionCallOutput] = []
    # `offers.py` has told all others in the words of these.
    for item in cast(tuple[PlainItem, ...], settled(request.input)):
        match item:
            case FunctionCallOutput():
                _close_assistant(pieces, found, keeps_last_thought)
                results.append(item)
            case Message(role="assistant"):
                _close_results(results, found)
                text = assistant_text(item.content)
                # Blanks alone are nothing said, and a 400 at most vendors.
                if text.strip():
                    pieces.append(Said(text))
            case Message():
                _close_results(results, found)
                _close_assistant(pieces, found, keeps_last_thought)
                found.extend(_outside_turns(item))
            case ReasoningItem() | FunctionCallItem() | ImageGenerationCall():
                _close_results(results, found)
                pieces.append(item)
            case WebSearchCall() | FileSearchCall():
                pass
            case _:
                assert_never(item)
    _close_results(results, found)
    _close_assistant(pieces, found, keeps_last_thought)
    return found


def split_system(found: Sequence[Turn]) -> tuple[str, list[Turn]]:
    """Take the leading system turns away as one text, for dialects with a slot of their own for it."""
    count = 0
    for turn in found:
        if not isinstance(turn, SystemTurn):
            break
        count += 1
    text = "\n\n".join(turn.text for turn in found[:count] if isinstance(turn, SystemTurn))
    return text, list(found[count:])


def system_joined(found: Sequence[Turn]) -> list[Turn]:
    """Join the leading system turns into one: many templates refuse a second one, and nothing is lost."""
    leading, rest = split_system(found)
    return [SystemTurn(leading), *rest] if leading else rest


def system_first(found: Sequence[Turn]) -> list[Turn]:
    """Join the leading system turns and mark the later ones as the user's, for servers that take one at the start."""
    leading, rest = split_system(found)
    marked = system_as_user(rest)
    return [SystemTurn(leading), *marked] if leading else marked


def system_as_user(found: Iterable[Turn]) -> list[Turn]:
    """Turn every system turn into a marked user turn, for dialects without a system role at that place."""
    return [
        UserTurn((InputText(SYSTEM_PREFIX + turn.text),)) if isinstance(turn, SystemTurn) else turn for turn in found
    ]


def images_as_user(found: Sequence[Turn]) -> list[Turn]:
    """Move pictures that the model generated into the next user turn, for dialects whose assistants hold none.

    A turn that held nothing else disappears; pictures that no user turn follows get one of their own at the end.
    """
    if not any(isinstance(turn, AssistantTurn) and _pictures(turn) for turn in found):
        return list(found)
    moved: list[Turn] = []
    waiting: list[InputPart] = []
    for turn in found:
        if isinstance(turn, AssistantTurn):
            waiting.extend(_pictures(turn))
            rest = tuple(piece for piece in turn.pieces if not isinstance(piece, ImageGenerationCall))
            if any(not isinstance(piece, ReasoningItem) for piece in rest):
                moved.append(AssistantTurn(rest))
        elif isinstance(turn, UserTurn) and waiting:
            moved.append(UserTurn((*waiting, *turn.parts)))
            waiting = []
        else:
            moved.append(turn)
    if waiting:
        moved.append(UserTurn(tuple(waiting)))
    return moved


def results_media_as_user(found: Iterable[Turn]) -> list[Turn]:
    """Repeat what tools gave back besides text in a user turn after the results, for dialects with text results."""
    moved: list[Turn] = []
    for turn in found:
        moved.append(turn)
        if isinstance(turn, ResultsTurn):
            media = [part for result in turn.results for part in result_media(result)]
            if media:
                moved.append(UserTurn((InputText(RESULT_NOTE), *media)))
    return moved


def merged(found: Iterable[Turn]) -> list[Turn]:
    """Join adjacent turns of one kind, for dialects that demand alternation."""
    joined: list[Turn] = []
    for turn in found:
        match joined[-1] if joined else None, turn:
            case UserTurn(before), UserTurn(parts):
                joined[-1] = UserTurn(before + parts)
            case SystemTurn(text), SystemTurn(more):
                joined[-1] = SystemTurn(f"{text}\n\n{more}")
            case AssistantTurn(said), AssistantTurn(pieces):
                joined[-1] = AssistantTurn(said + pieces)
            case ResultsTurn(results), ResultsTurn(others):
                joined[-1] = ResultsTurn(results + others)
            case _:
                joined.append(turn)
    return joined


def assistant_text(parts: Iterable[MessagePart]) -> str:
    """Read an assistant message as text; a refusal counts as what was said."""
    texts: list[str] = []
    for part in parts:
        match part:
            case OutputText(text=text) | InputText(text=text):
                texts.append(text)
            case RefusalPart(refusal=refusal):
                texts.append(refusal)
            case _:
                pass
    return "".join(texts)


def result_text(result: FunctionCallOutput) -> str:
    """Read a tool's result as text; parts that are not text are named in brackets where they stood."""
    if isinstance(result.output, str):
        return result.output
    return "\n".join(part.text if isinstance(part, InputText) else _placeholder(part) for part in result.output)


def result_media(result: FunctionCallOutput) -> list[InputPart]:
    """The parts of a tool's result that are not text, for dialects that can show them elsewhere."""
    if isinstance(result.output, str):
        return []
    return [part for part in result.output if not isinstance(part, InputText)]


def call_names(items: Iterable[InputItem]) -> dict[str, str]:
    """The name of the tool by `call_id`, for dialects that match results by name."""
    return {item.call_id: item.name for item in items if isinstance(item, FunctionCallItem)}


def _close_assistant(pieces: list[AssistantPiece], found: list[Turn], keeps_last_thought: bool) -> None:
    is_thought_only = all(isinstance(piece, ReasoningItem) for piece in pieces)
    while pieces and isinstance(pieces[-1], ReasoningItem) and (is_thought_only or not keeps_last_thought):
        pieces.pop()
    if pieces:
        found.append(AssistantTurn(tuple(pieces)))
        pieces.clear()


def _close_results(results: list[FunctionCallOutput], found: list[Turn]) -> None:
    if results:
        found.append(ResultsTurn(tuple(results)))
        results.clear()


def _outside_turns(message: Message) -> list[Turn]:
    """Turns of a message that is not the model's; media in a system message become the user's."""
    parts = tuple(_readable(message.content))
    if message.role == "user":
        return [UserTurn(parts)] if parts else []
    text = "\n\n".join(part.text for part in parts if isinstance(part, InputText))
    media = tuple(part for part in parts if not isinstance(part, InputText))
    made: list[Turn] = [SystemTurn(text)] if text else []
    if media:
        made.append(UserTurn(media))
    return made


def _readable(parts: Iterable[MessagePart]) -> Iterable[InputPart]:
    for part in parts:
        match part:
            case InputText(text="") | OutputText(text="") | RefusalPart(refusal=""):
                pass
            case OutputText(text=text) | RefusalPart(refusal=text):
                yield InputText(text)
            case _:
                yield part


def _pictures(turn: AssistantTurn) -> list[InputPart]:
    parts: list[InputPart] = []
    for piece in turn.pieces:
        if isinstance(piece, ImageGenerationCall) and piece.result:
            url = piece.result if ":" in piece.result[:8] else f"data:image/png;base64,{piece.result}"
            parts += [InputText(IMAGE_NOTE), InputImage(url)]
    return parts


def _placeholder(part: InputPart) -> str:
    return f"[{type(part).__name__.removeprefix('Input').lower()}]"
