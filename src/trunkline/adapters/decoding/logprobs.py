"""Log probabilities as OpenAI's languages write them → ours."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from trunkline.protocol.items import Logprob, TopLogprob


class WireTopLogprob(Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None


class WireLogprob(Struct, gc=False):
    token: str = ""
    logprob: float = 0.0
    bytes: tuple[int, ...] | None = None
    top_logprobs: tuple[WireTopLogprob, ...] | None = None


def as_logprobs(told: Iterable[WireLogprob]) -> tuple[Logprob, ...]:
    """Read log probabilities; bytes that a server leaves out are those of the token's text."""
    return tuple(
        Logprob(
            one.token,
            _bytes_of(one),
            one.logprob,
            tuple(TopLogprob(top.token, _bytes_of(top), top.logprob) for top in one.top_logprobs or ()),
        )
        for one in told
    )


def _bytes_of(told: WireLogprob | WireTopLogprob) -> tuple[int, ...]:
    return told.bytes if told.bytes is not None else tuple(told.token.encode("utf-8", "replace"))
