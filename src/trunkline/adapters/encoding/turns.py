"""Groups the items of a request into the turns that upstream dialects are built from.

Does not encode anything: an adapter walks the turns and writes them in its own words.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import replace

from trunkline.adapters.encoding.histories import settled
from trunkline.protocol.items import (
    CacheMark,
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
from trunkline.protocol.marking import mark_of
from trunkline.protocol.opaque import AnthropicItem
from trunkline.protocol.request import Request

IMAGE_NOTE = "An image generated earlier in this conversation:"
RESULT_NOTE = "What the tools returned besides text:"
SYSTEM_PREFIX = "[System note]\n"

_OF_RESULTS = (FunctionCallOutput, WebSearchCall, FileSearchCall)
"""What does not end a turn of results: those themselves, and searches, which are of no side."""


class SystemTurn(Struct, frozen=True, gc=False):
    """Instructions, or a system or developer message; never empty.

    `parts` are what the text is made of where one of them is marked for the cache, and else empty.
    """

    text: str
    parts: tuple[InputText, ...] = ()

    @property
    def pieces(self) -> tuple[InputText, ...]:
        """The text in parts, of which there is one where nothing is marked."""
        return self.parts or (InputText(self.text),)


class UserTurn(Struct, frozen=True, gc=False):
    """What the user said; `parts` is never empty and holds no empty text."""

    parts: tuple[InputPart, ...]


class Said(Struct, frozen=True, gc=False):
    """The text of one assistant message, refusals included; never empty.

    It is cut behind what is marked for the cache: `goes_on` tells that more of the message follows.
    """

    text: str
    mark: CacheMark | UnsetType = UNSET
    goes_on: bool = False


AssistantPiece = Said | ReasoningItem | FunctionCallItem | ImageGenerationCall | AnthropicItem
"""The last only at Anthropic's own servers: `offers.py` leaves it out for all others."""


class AssistantTurn(Struct, frozen=True, gc=False):
    """What the model did before somebody else spoke, in order; at least one piece is not a thought.

    A `ReasoningItem` belongs to the next piece of another kind, and the last piece is of another kind unless `turns`
    was asked to keep the last thought.
    """

    pieces: tuple[AssistantPiece, ...]

    def apart(self) -> tuple[str, list[ReasoningItem], list[FunctionCallItem]]:
        """Everything said, messages apart by a blank line; the thoughts; the calls."""
        said: list[str] = []
        thoughts: list[ReasoningItem] = []
        calls: list[FunctionCallItem] = []
        goes_on = False
        for piece in self.pieces:
            match piece:
                case Said(text):
                    if goes_on:
                        said[-1] += text
                    else:
                        said.append(text)
                    goes_on = piece.goes_on
                case ReasoningItem():
                    thoughts.append(piece)
                case FunctionCallItem():
                    calls.append(piece)
                case ImageGenerationCall() | AnthropicItem():
                    pass
                case _:
                    assert_never(piece)
        return "\n\n".join(said), thoughts, calls


class ResultsTurn(Struct, frozen=True, gc=False):
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
    items = request.input if request.is_text_alone else settled(request.input)
    for item in cast("tuple[PlainItem | AnthropicItem, ...]", items):
        if results and not isinstance(item, _OF_RESULTS):
            found.append(ResultsTurn(tuple(results)))
            results.clear()
        match item:
            case Message():
                if item.role == "assistant":
                    text = assistant_text(item.content)
                    # Blanks alone are nothing said, and a 400 at most vendors.
                    if text and not text.isspace():
                        pieces += _cut_at_marks(item.content) if request.has_marks else (Said(text),)
                    continue
                if pieces:
                    _close_assistant(pieces, found, keeps_last_thought)
                if item.role == "user":
                    if parts := _readable(item.content):
                        found.append(UserTurn(parts))
                else:
                    found += _system_turns(item)
            case FunctionCallOutput():
                if pieces:
                    _close_assistant(pieces, found, keeps_last_thought)
                results.append(item)
            case ReasoningItem() | FunctionCallItem() | ImageGenerationCall() | AnthropicItem():
                pieces.append(item)
            case WebSearchCall() | FileSearchCall():
                pass
            case _:
                assert_never(item)
    if results:
        found.append(ResultsTurn(tuple(results)))
    if pieces:
        _close_assistant(pieces, found, keeps_last_thought)
    return found


def split_system(found: Sequence[Turn]) -> tuple[SystemTurn | None, list[Turn]]:
    """Take the leading system turns away as one, for dialects with a slot of their own for it."""
    leading: list[SystemTurn] = []
    for turn in found:
        if not isinstance(turn, SystemTurn):
            break
        leading.append(turn)
    return _one_system(leading), list(found[len(leading) :])


def system_joined(found: Sequence[Turn], hints: Sequence[str] = ()) -> list[Turn]:
    """Join the leading system turns into one, and hints: many templates refuse a second one, and nothing is lost."""
    leading, rest = split_system(found)
    if hints:
        leading = _one_system([*((leading,) if leading else ()), *map(SystemTurn, hints)])
    return [leading, *rest] if leading else rest


def system_first(found: list[Turn]) -> list[Turn]:
    """Join the leading system turns and tell the later ones as the user's, for servers that take one at the start."""
    leading, rest = split_system(found)
    told = system_as_user(rest)
    return [leading, *told] if leading else told


def system_as_user(found: list[Turn]) -> list[Turn]:
    """Turn every system turn into a marked user turn, for dialects without a system role at that place."""
    if SystemTurn not in map(type, found):
        return found
    return [UserTurn(_prefixed(turn.pieces)) if isinstance(turn, SystemTurn) else turn for turn in found]


def images_as_user(found: list[Turn]) -> list[Turn]:
    """Move pictures that the model generated into the next user turn, for dialects whose assistants hold none.

    A turn that held nothing else disappears; pictures that no user turn follows get one of their own at the end.
    """
    if not _has_pictures(found):
        return found
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


def results_media_as_user(found: list[Turn]) -> list[Turn]:
    """Repeat what tools gave back besides text in a user turn after the results, for dialects with text results."""
    if not _has_media(found):
        return found
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
        before = joined[-1] if joined else None
        if type(before) is not type(turn):
            joined.append(turn)
            continue
        match before, turn:
            case UserTurn(earlier), UserTurn(parts):
                joined[-1] = UserTurn(earlier + parts)
            case SystemTurn() as system, SystemTurn() as more:
                joined[-1] = _one_system([system, more]) or turn
            case AssistantTurn(said), AssistantTurn(pieces):
                joined[-1] = AssistantTurn(said + pieces)
            case ResultsTurn(results), ResultsTurn(others):
                joined[-1] = ResultsTurn(results + others)
            case _:
                joined.append(turn)
    return joined


def assistant_text(parts: Sequence[MessagePart]) -> str:
    """Read an assistant message as text; a refusal counts as what was said."""
    match parts:
        case (OutputText(text=text) | InputText(text=text),):
            return text
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


def call_names(items: Sequence[InputItem]) -> dict[str, str]:
    """The name of the tool by `call_id`, for dialects that match results by name."""
    if FunctionCallItem not in map(type, items):
        return {}
    return {item.call_id: item.name for item in items if isinstance(item, FunctionCallItem)}


def _close_assistant(pieces: list[AssistantPiece], found: list[Turn], keeps_last_thought: bool) -> None:
    if isinstance(pieces[-1], ReasoningItem):
        is_thought_only = all(isinstance(piece, ReasoningItem) for piece in pieces)
        while pieces and isinstance(pieces[-1], ReasoningItem) and (is_thought_only or not keeps_last_thought):
            pieces.pop()
    if pieces:
        found.append(AssistantTurn(tuple(pieces)))
        pieces.clear()


def _one_system(found: Sequence[SystemTurn]) -> SystemTurn | None:
    """Several system turns as one, in parts where one of them is; None where there are none."""
    if len(found) < 2:
        return found[0] if found else None
    text = "\n\n".join([turn.text for turn in found])
    is_marked = any(turn.parts for turn in found)
    return SystemTurn(text, tuple([part for turn in found for part in turn.pieces]) if is_marked else ())


def _prefixed(parts: tuple[InputText, ...]) -> tuple[InputText, ...]:
    return (replace(parts[0], text=SYSTEM_PREFIX + parts[0].text), *parts[1:])


def _cut_at_marks(parts: Sequence[MessagePart]) -> Sequence[Said]:
    """What an assistant message says, cut behind each mark."""
    found: list[Said] = []
    texts: list[str] = []
    for part in parts:
        texts.append(assistant_text((part,)))
        if (mark := mark_of(part)) is not UNSET:
            found.append(Said("".join(texts), mark, goes_on=True))
            texts.clear()
    if rest := "".join(texts):
        return (*found, Said(rest))
    return (*found[:-1], replace(found[-1], goes_on=False))


def _system_turns(message: Message) -> list[Turn]:
    """Turns of a system message; media in it become the user's."""
    parts = _readable(message.content)
    if len(parts) == 1 and type(parts[0]) is InputText and parts[0].cache_control is UNSET:
        return [SystemTurn(parts[0].text)]
    texts = tuple(part for part in parts if isinstance(part, InputText))
    media = tuple(part for part in parts if not isinstance(part, InputText))
    made: list[Turn] = []
    if texts:
        is_marked = any(part.cache_control is not UNSET for part in texts)
        made.append(SystemTurn("\n\n".join(part.text for part in texts), texts if is_marked else ()))
    if media:
        made.append(UserTurn(media))
    return made


def _readable(parts: tuple[MessagePart, ...]) -> tuple[InputPart, ...]:
    """Parts as a user says them, without empty texts."""
    for part in parts:
        # By type, for there may be thousands, and nearly all are so already.
        kind = type(part)
        if (kind is InputText and not part.text) or kind is OutputText or kind is RefusalPart:  # type: ignore[union-attr]
            return tuple(_reworded(parts))
    return parts  # type: ignore[return-value]  # what is left are the user's


def _reworded(parts: Iterable[MessagePart]) -> Iterable[InputPart]:
    for part in parts:
        match part:
            case InputText(text="") | OutputText(text="") | RefusalPart(refusal=""):
                pass
            case OutputText(text=text) | RefusalPart(refusal=text):
                yield InputText(text, mark_of(part))
            case _:
                yield part


def _has_media(found: Iterable[Turn]) -> bool:
    for turn in found:
        if type(turn) is ResultsTurn:
            for result in turn.results:
                if type(result.output) is not str:
                    return True
    return False


def _has_pictures(found: Iterable[Turn]) -> bool:
    for turn in found:
        if type(turn) is AssistantTurn:
            for piece in turn.pieces:
                if type(piece) is ImageGenerationCall and piece.result:
                    return True
    return False


def _pictures(turn: AssistantTurn) -> list[InputPart]:
    parts: list[InputPart] = []
    for piece in turn.pieces:
        if isinstance(piece, ImageGenerationCall) and piece.result:
            url = piece.result if ":" in piece.result[:8] else f"data:image/png;base64,{piece.result}"
            parts += [InputText(IMAGE_NOTE), InputImage(url)]
    return parts


def _placeholder(part: InputPart) -> str:
    return f"[{type(part).__name__.removeprefix('Input').lower()}]"
