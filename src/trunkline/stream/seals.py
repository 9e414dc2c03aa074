"""Says on the proof of a thought who issued it, so that it goes back there and to nobody else.

A provider can only read its own encrypted reasoning, and only under the item id it gave; a signature holds for the text
it was given with. When a client replays the item it has an id of ours, and many clients keep nothing of a thought but
`encrypted_content` and the summary. So all that its issuer wants back stands there: the proof, and a tag appended to
it. The tag is no secret and proves nothing: a forged one leads to a proof that the provider itself will not take. But
it tells whether a proof arrived whole.

    proof .tl1. base64(JSON of `_Tag`) [. base64(text)] . checksum

Clients of Responses keep a thought with all its members (`sealed`). Those of Messages and Chat Completions keep its
text and one proof, in the place that each API has for it (`sign`, `thought_item`): Claude's there is bare, so that a
client may take it to Claude's maker, every other one tagged. A thought without a proof has a mark in its place at
Messages, `tl1.` and its format.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64
from zlib import crc32

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import astuple, replace

from trunkline.protocol.items import ReasoningFormat, ReasoningItem, ReasoningText, SummaryText
from trunkline.stream.deltas import ReasoningSeal
from trunkline.wire import UNREADABLE

CLAUDE_FORMAT: ReasoningFormat = "anthropic-claude-v1"
GEMINI_FORMAT: ReasoningFormat = "google-gemini-v1"

PORTABLE = frozenset({CLAUDE_FORMAT, GEMINI_FORMAT})
"""Formats whose proofs hold wherever the maker's models are served; others only at the provider that gave them."""

UNSIGNED = "tl1."
"""How the mark begins that stands for the proof of a thought that has none; the format follows, if one is known.

Claude Code throws away a thought whose signature is empty.
"""

_MARK = ".tl1."


class Seal(Struct, frozen=True, kw_only=True):
    """What an issuer gave with a thought, byte for byte, and where it came from.

    There is a `blob`, a `signature` or both. An empty `item_id` means that there was none, an empty `form` that the
    format is not known. `packed` is the text in base64; None: the proof holds for none, or the item itself has it.
    `after_text` and `calls_before` tell where in its answer the thought stood, for clients that keep thoughts apart
    from it. `is_bound`: it is good nowhere but there, whatever its format; no tag says so, since who reads one knows
    the endpoint.
    """

    endpoint_id: str
    blob: str = ""
    signature: str = ""
    item_id: str = ""
    form: str = ""
    packed: str | None = None
    after_text: bool = False
    calls_before: int = 0
    is_bound: bool = False

    @property
    def text(self) -> str | None:
        """The text that the proof holds for. Long ones cost something, and few who read a seal want them."""
        if self.packed is None:
            return None
        try:
            return a2b_base64(self.packed).decode()
        except UNREADABLE:
            return None


class _Tag(Struct, frozen=True, array_like=True):
    """What follows a proof; a later version may append to it. `is_signature`: the proof before it is one.

    `signature` is that beside a blob. The last two are written only of a thought before which something stood.
    """

    endpoint_id: str
    item_id: str
    form: str = ""
    is_signature: bool = False
    signature: str = ""
    after_text: bool = False
    calls_before: int = 0


def origin_of(heard: ReasoningSeal, before: Seal | None = None) -> Seal:
    """The proof that was heard, with what is known of the same thought: a later one replaces only what it says."""
    known = Seal(endpoint_id="") if before is None else before
    return replace(
        known,
        endpoint_id=heard.endpoint_id,
        blob=heard.encrypted or known.blob,
        signature=heard.signature or known.signature,
        item_id=heard.item_id or known.item_id,
        form="" if heard.format == "unknown" else heard.format,
        is_bound=heard.is_bound,
    )


def seal(origin: Seal) -> str:
    """Write a proof with its tag."""
    proof, beside = (origin.blob, origin.signature) if origin.blob else (origin.signature, "")
    place = (origin.after_text, origin.calls_before)
    tag = astuple(_Tag(origin.endpoint_id, origin.item_id, origin.form, not origin.blob, beside, *place))
    head = _packed(msgspec.json.encode(tag if any(place) else tag[: -len(place)]))
    told = head if origin.packed is None else f"{head}.{origin.packed}"
    return f"{proof}{_MARK}{told}.{_checksum(proof, told)}"


def unseal(text: str) -> Seal | None:
    """Take proof and tag apart; None when the text carries no tag of ours, or one that did not arrive whole."""
    proof, mark, rest = text.rpartition(_MARK)
    told, _, checksum = rest.rpartition(".")
    if not (mark and proof) or checksum != _checksum(proof, told):
        return None
    first, dot, packed = told.partition(".")
    try:
        tag = _read_tag(a2b_base64(first))
    except UNREADABLE:
        return None
    blob, signature = ("", proof) if tag.is_signature else (proof, tag.signature)
    return Seal(
        endpoint_id=tag.endpoint_id,
        blob=blob,
        signature=signature,
        item_id=tag.item_id,
        form=tag.form,
        packed=packed if dot else None,
        after_text=tag.after_text,
        calls_before=tag.calls_before,
    )


def has_mark(text: str) -> bool:
    """Whether a proof went through a gateway of this kind, however much of its tag is left."""
    return _MARK in text


def sealed(item: ReasoningItem, origin: Seal) -> ReasoningItem:
    """Put a proof on a thought: all of it in `encrypted_content`, and a signature in its own member too.

    There it is bare where the format says whose it is, so that a client may take it to its maker.
    """
    if not origin.signature:
        return replace(item, encrypted_content=seal(origin))
    bare = origin.form in PORTABLE
    alone = replace(origin, blob="", item_id="")
    if origin.form != GEMINI_FORMAT:
        # Gemini's signature holds for the part that it stands on, every other for the thought it was given with.
        origin = holding(origin, "".join(part.text for part in item.content or ()))
    signature = origin.signature if bare else seal(alone)
    return replace(item, encrypted_content=seal(origin), signature=signature)


def holding(origin: Seal, text: str) -> Seal:
    """The proof with the text that it holds for, where that does not stand beside it."""
    return replace(origin, packed=_packed(text.encode()))


# At the doors where a thought has its text and one proof


def sign(origin: Seal, *, is_data: bool = False, is_in_order: bool = False) -> str:
    """Write what stands as the proof of a thought where there is one place for it; the mark where it has none.

    `is_data`: the place is that of a hidden thought, `data`, and not `signature`. `is_in_order`: it is among the texts
    and calls of its answer. Bare is Claude's alone, where it stands in its own place, with its text beside it and
    nothing of the answer before it, or in order. A tag holds the text only if the proof does (`holding`): the contract
    of these APIs is that clients keep it as it came.
    """
    if not (origin.blob or origin.signature):
        return unsigned(origin.form)
    proof, other = (origin.blob, origin.signature) if is_data else (origin.signature, origin.blob)
    is_moved = not is_in_order and (origin.after_text or origin.calls_before > 0)
    is_alone = not other and not origin.is_bound and origin.packed is None
    is_bare = origin.form == CLAUDE_FORMAT and proof and is_alone and not is_moved and not is_ours(proof)
    return proof if is_bare else seal(origin)


def unsigned(form: str = "") -> str:
    """Write the mark of a thought without a proof."""
    return UNSIGNED + form


def is_unsigned(proof: str) -> bool:
    """Whether what stands as a proof says that there is none."""
    return proof.startswith(UNSIGNED) and not has_mark(proof)


def format_of_mark(mark: str) -> str:
    """The format that the mark of a thought without a proof tells; empty where none is known."""
    form = format_named(mark.removeprefix(UNSIGNED))
    return "" if form == "unknown" else form


def is_ours(proof: str) -> bool:
    """Whether what stands as a proof says itself what it is, however much of that is left."""
    return has_mark(proof) or proof.startswith(UNSIGNED)


def read_proof(proof: str, *, form: str = "", is_data: bool = False) -> Seal | None:
    """Read what stands as the proof of a thought; None for none, and for one that did not arrive whole.

    Our tag goes before `form`, which is what the client or the API says of a bare one; `is_data` as in `sign`.
    """
    if has_mark(proof):
        return unseal(proof)
    if not proof or is_unsigned(proof):
        return None
    blob, signature = (proof, "") if is_data else ("", proof)
    return Seal(endpoint_id="", blob=blob, signature=signature, form="" if form == "unknown" else form)


def thought_item(
    text: str = "", *, signature: str = "", data: str = "", summary: tuple[str, ...] = (), form: str = ""
) -> ReasoningItem:
    """Make of what a client kept of a thought the item that Responses would have of it.

    A proof that says itself what it is, whole or not, stands in `encrypted_content`, as it came.
    """
    found = read_proof(data, form=form, is_data=True) or read_proof(signature, form=form)
    mark = next((each for each in (signature, data) if is_unsigned(each)), None)
    named = found.form if found is not None else form if mark is None else format_of_mark(mark)
    blob, beside = ("" if is_unsigned(each) else each for each in (data, signature))
    if not blob and has_mark(beside):
        blob, beside = beside, ""
    return ReasoningItem(
        summary=tuple([SummaryText(each) for each in summary]),
        content=(ReasoningText(text),) if text else UNSET,
        encrypted_content=blob or UNSET,
        signature=beside or UNSET,
        format=UNSET if (known := format_named(named)) == "unknown" else known,
    )


def read_thinking(text: str, signature: str) -> ReasoningItem:
    """Make an item of a `thinking` block of Messages, where a bare signature is Claude's.

    The text of who tells summaries is one.
    """
    item = thought_item(text, signature=signature, form=CLAUDE_FORMAT if signature else "")
    if not text or item.format in (UNSET, CLAUDE_FORMAT):
        return item
    return replace(item, content=UNSET, summary=(SummaryText(text),))


def read_redacted(data: str) -> ReasoningItem:
    """Make an item of a `redacted_thinking` block of Messages, where bare data is Claude's."""
    return thought_item(data=data, form=CLAUDE_FORMAT)


def format_named(name: object) -> ReasoningFormat:
    """The reasoning format an upstream or a quirk names; `unknown` for any other name."""
    match name:
        case (
            "openai-responses-v1"
            | "azure-openai-responses-v1"
            | "xai-responses-v1"
            | "anthropic-claude-v1"
            | "google-gemini-v1"
        ):
            return name
        case _:
            return "unknown"


def is_from(origin: Seal, endpoint_id: str) -> bool:
    """Whether the provider behind an endpoint issued the proof."""
    return provider_of(origin.endpoint_id) == provider_of(endpoint_id)


def provider_of(endpoint_id: str) -> str:
    """The provider in an endpoint's id, `provider/variant:model`; the variants of one provider share its keys."""
    return endpoint_id.partition(":")[0].partition("/")[0]


def _packed(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode()


def _checksum(proof: str, told: str) -> str:
    return f"{crc32(told.encode(errors='surrogatepass'), crc32(proof.encode(errors='surrogatepass'))):08x}"


_read_tag = msgspec.json.Decoder(_Tag).decode
