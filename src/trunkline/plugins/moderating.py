"""What of a request is judged before anything is done with it, and what follows from the verdict.

Pure. Judged is what a client can have written: all turns of the user, instructions, what tools gave back in the last
turn, each with its text files; the last turn first, then instructions, then what came before, until there is no room.
Of what is left out the sizes are noted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, Literal, NamedTuple

from msgspec.structs import replace

from trunkline.adapters.media import inline_file
from trunkline.errors import BadRequest, Forbidden, ServiceUnavailable
from trunkline.protocol.content import bytes_of
from trunkline.protocol.file_types import is_text, kind_of
from trunkline.protocol.items import (
    AgentMessage,
    CustomCallOutput,
    EncryptedText,
    FunctionCallOutput,
    InputFile,
    InputImage,
    InputItem,
    InputText,
    LocalShellCallOutput,
    Message,
    MessagePart,
    OutputText,
)
from trunkline.protocol.opaque import Json
from trunkline.protocol.preferences import ModerationPlugin
from trunkline.protocol.request import Request
from trunkline.settings.sections import Settings
from trunkline.upstream.engines.judged import Passage, Pictures, Verdict

MAX_BYTES: Final = 100_000
"""So much text of a request is judged."""

MAX_PASSAGES: Final = 64
MAX_PICTURES: Final = 8
MAX_BESIDE_PICTURE: Final = 2_000
MAX_SHOWN: Final = 100
"""The most characters of what was flagged that a client is shown."""

OUTPUT_STEP: Final = 2_048
"""After so many bytes more what a stream has told until then is judged."""

_INSTRUCTORS: Final = ("system", "developer")

Wish = Literal["pass", "block", "always"]


class OutputCheck(NamedTuple):
    """How an answer is judged, and what was noted of the request; `judge` is who is asked about a text."""

    judge: Callable[[str], Awaitable[Verdict]]
    is_blocking: bool
    noted: dict[str, Json]


class ModerationStep(NamedTuple):
    """Who judges a request, what happens where nobody does, and whether its answer is judged too."""

    engine: str
    is_blocking: bool
    checks_output: bool


class Checked(NamedTuple):
    """What is judged of a request, and how much there is besides: bytes of text, and media that no text is."""

    passages: tuple[Passage, ...]
    checked_bytes: int
    unchecked_bytes: int
    unchecked_media: int


def moderation_step(
    request: Request, wish: Wish | None, settings: Settings, engines: Sequence[str]
) -> ModerationStep | None:
    """Say who judges a request, of the engines that are on; None where nobody is to. `wish` is its key's.

    Raises BadRequest where a request asks for an engine and there is none, and ServiceUnavailable where others do:
    none goes on that was to be judged.
    """
    is_asked = ModerationPlugin in map(type, request.plugins)
    if not is_asked and wish != "always" and "moderation" not in settings.plugins.defaults:
        return None
    about = settings.plugins.moderation
    engine = about.engine or next(iter(settings.moderation), "")
    if engine not in engines:
        if is_asked and wish != "always" and "moderation" not in settings.plugins.defaults:
            raise not_configured()
        raise ServiceUnavailable("This request is to be moderated, and no moderator is configured.", kind="server")
    is_blocking = about.on_failure == "block" if wish is None else wish != "pass"
    return ModerationStep(engine, is_blocking, about.output)


def not_configured() -> BadRequest:
    """That nobody is there who judges."""
    return BadRequest(
        'plugins: "moderation" is not configured in this gateway, which needs an engine for it ([moderation.NAME] in '
        "its settings); leave it out.",
        param="plugins",
    )


def checked_of(request: Request, takes: Pictures) -> Checked:
    """Choose what is judged of a request, in the order of its weight."""
    passages: list[Passage] = []
    texts: list[str] = []
    left, unchecked, pictures, media = MAX_BYTES, 0, 0, 0
    for text, shown, others in _said(request):
        size = bytes_of(text)
        if size > left:
            unchecked += size - left
            text, size = _end_of(text, left), left
        left -= size
        if text.strip():
            if len(passages) < MAX_PASSAGES - 1:
                passages.append(Passage(text))
            else:
                texts.append(text)
        media += others
        for picture in shown:
            if pictures < MAX_PICTURES and _is_taken(picture, takes):
                pictures += 1
                passages.append(Passage(text[-MAX_BESIDE_PICTURE:], picture))
            else:
                media += 1
    if texts:  # what there is no place for, as one, in the order in which it was said
        passages.append(Passage("\n".join(reversed(texts))))
    return Checked(tuple(passages), MAX_BYTES - left, unchecked, media)


def files_of(request: Request, told: Request) -> tuple[Request, int]:
    """A request of nothing but the texts that `told` has in the place of files, and how many these are."""
    known = set(map(id, _parts_of(request)))
    read = [part for part in _parts_of(told) if isinstance(part, InputText) and id(part) not in known]
    return replace(request, input=(Message(role="user", content=tuple(read)),), instructions=None), len(read)


def refusal(verdict: Verdict, passages: Sequence[Passage], model: str) -> Forbidden:
    """What a client is told of a request that was flagged."""
    text, picture = passages[verdict.place]
    shown = picture if picture and picture[:5].lower() != "data:" else text
    return Forbidden(
        f"This request was flagged by moderation ({', '.join(verdict.reasons)}); it was sent to nobody.",
        metadata={
            "reasons": list(verdict.reasons),
            "flagged_input": shortened(shown),
            "provider_name": verdict.engine,
            "model_slug": model,
        },
    )


def unjudged() -> ServiceUnavailable:
    """That who judges did not answer, and nothing goes on without."""
    return ServiceUnavailable("The moderator did not answer, and nothing is answered unmoderated; try again.")


def note_of(verdict: Verdict) -> dict[str, Json]:
    """What is on record of a verdict."""
    result = "unjudged" if verdict.problem else "flagged" if verdict.is_flagged else "passed"
    note: dict[str, Json] = {"ms": round(verdict.took_s * 1000), "result": result}
    if verdict.reasons:
        note["reasons"] = list(verdict.reasons)
    if verdict.problem:
        note["problem"] = verdict.problem
    if verdict.record:
        note["record"] = verdict.record
    return note


def input_note(verdict: Verdict, checked: Checked) -> dict[str, Json]:
    """What is on record of a request that was judged."""
    note = {"engine": verdict.engine, **note_of(verdict), "checked_bytes": checked.checked_bytes}
    note["unchecked_bytes"] = checked.unchecked_bytes
    if checked.unchecked_media:
        note["unchecked_media"] = checked.unchecked_media
    return note


def shortened(text: str, most: int = MAX_SHOWN) -> str:
    """At most so many characters of a text on one line, its middle cut out."""
    line = " ".join(text[: 4 * most].split() + text[max(4 * most, len(text) - 4 * most) :].split())
    if len(line) <= most:
        return line
    half = (most - 3) // 2
    return f"{line[: most - 3 - half]}...{line[-half:]}"


def _parts_of(request: Request) -> Iterator[MessagePart | EncryptedText]:
    for item in request.input:
        match item:
            case Message(content=content) | AgentMessage(content=content):
                yield from content
            case FunctionCallOutput(output=tuple() as parts) | CustomCallOutput(output=tuple() as parts):
                yield from parts
            case _:
                pass


def _is_taken(picture: str, takes: Pictures) -> bool:
    if picture[:5].lower() == "data:":
        return takes != "none"
    return takes == "all" and picture[:8].lower().startswith(("https://", "http://"))


class _Said(NamedTuple):
    text: str
    pictures: tuple[str, ...]
    others: int


def _said(request: Request) -> Iterator[_Said]:
    """What a client can have written, the weightiest first."""
    items = request.input
    if request.has_prefill:
        yield _of_begun(items[-1])
    last = max((place for place, item in enumerate(items) if _is_users(item)), default=0)
    yield from filter(None, map(_of_turn, reversed(items[last:])))
    if request.instructions:
        yield _Said(request.instructions, (), 0)
    yield from (_of_parts(item.content) for item in items if isinstance(item, Message) and item.role in _INSTRUCTORS)
    yield from filter(None, map(_of_user, reversed(items[:last])))


def _of_begun(item: InputItem) -> _Said:
    """How the client began the answer, which goes on with that: as good as a wish."""
    parts = item.content if isinstance(item, Message) else ()
    return _Said("\n".join([part.text for part in parts if isinstance(part, OutputText)]), (), 0)


def _is_users(item: InputItem) -> bool:
    return isinstance(item, AgentMessage) or (isinstance(item, Message) and item.role == "user")


def _of_user(item: InputItem) -> _Said | None:
    """What a user said."""
    match item:
        case Message(role="user", content=content) | AgentMessage(content=content):
            return _of_parts(content)
        case _:
            return None


def _of_turn(item: InputItem) -> _Said | None:
    """What a user or a tool said."""
    match item:
        case FunctionCallOutput(output=str() as text) | CustomCallOutput(output=str() as text):
            return _Said(text, (), 0)
        case FunctionCallOutput(output=tuple() as parts) | CustomCallOutput(output=tuple() as parts):
            return _of_parts(parts)
        case LocalShellCallOutput(output=text):
            return _Said(text, (), 0)
        case _:
            return _of_user(item)


def _of_parts(parts: Iterable[MessagePart | EncryptedText]) -> _Said:
    texts: list[str] = []
    pictures: list[str] = []
    others = 0
    for part in parts:
        match part:
            case InputText(text=text):
                texts.append(text)
            case InputImage(image_url=url):
                pictures.append(url)
            case InputFile() if is_text(kind_of(part)) and (found := inline_file(part)) is not None:
                texts.append(found.decode_text())
            case EncryptedText(encrypted_content=text):
                texts.append(text)
            case _:
                others += 1
    return _Said("\n".join(texts), tuple(pictures), others)


def _end_of(text: str, room: int) -> str:
    """The last so many bytes of a text."""
    return text.encode("utf-8", "replace")[-room:].decode("utf-8", "ignore") if room else ""
