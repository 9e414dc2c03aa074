"""Names of tools as a vendor takes them: each good by its rule, none twice, and the same in every turn and process.

A name that has to differ stays readable and is told back by `WireNames`. As one bad name is a 400 for the whole
request, it is mended here and nowhere else.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from trunkline.adapters.naming import Called
from trunkline.catalog.entries import Dialect

_HASH_LENGTH: Final = 8
_BAD: Final = re.compile(r"[^A-Za-z0-9_-]+")

# "a-z, A-Z, 0-9, or contain underscores and dashes, with a maximum length of 64": OpenAI's SDK 3.57,
# `types/shared/function_definition.py`. Anthropic takes 128 by now, 64 in some places:
# https://github.com/anthropics/claude-code/issues/20830 and /96152. Amazon takes the same 64:
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolSpecification.html. All seen 2026-11-27.
# Cohere's rule is not documented; this one is inferred.
_COMMON: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

_RULES: Final[Mapping[Dialect, re.Pattern[str]]] = {
    # "Must start with a letter or an underscore"; dots are not taken by older servers:
    # https://github.com/cloudflare/agents/issues/406 and
    # https://cloud.google.com/vertex-ai/generative-ai/docs/reference/nodejs/1.1.0/vertexai/functiondeclaration,
    # seen 2026-11-27.
    "gemini": re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}"),
}
"""What a tool may be called, where a dialect differs from the common rule."""


class Own(NamedTuple):
    """What a tool is to the client: a function or custom tool by its names, the one search for tools, the one shell."""

    name: str
    namespace: str = ""
    only: str = ""


class NameTable:
    """The names of one request's tools on one wire, in the order in which they are asked for."""

    def __init__(self, dialect: Dialect) -> None:
        self._rule = _RULES.get(dialect, _COMMON)
        self._wire: dict[Own, str] = {}
        self._taken: set[str] = set()
        self.called: dict[str, Called] = {}

    def is_good(self, name: str) -> bool:
        """Whether the vendor takes a name as it is."""
        return self._rule.fullmatch(name) is not None

    def name(self, own: Own) -> str:
        """The name of a tool on the wire; `functions` is the namespace of what has none in OpenAI's models."""
        known = self._wire.get(own)
        if known is not None:
            return known
        is_bare = own.namespace in ("", "functions")
        name = self._fitted(own.name if is_bare else f"{own.namespace}__{own.name}", own)
        self._wire[own] = name
        self._taken.add(name)
        return name

    def known(self, name: str) -> str:
        """The name on the wire of a tool without a namespace, if it was asked for."""
        return self._wire.get(Own(name), name)

    def inner_name(self, own: Own) -> str:
        """The name of a tool inside a namespace that the vendor knows."""
        return own.name if self.is_good(own.name) else self.name(own)

    def _fitted(self, name: str, own: Own) -> str:
        fitted = name
        if not self.is_good(name):
            fitted = _BAD.sub("_", name)
            if not self.is_good(fitted[:1]):
                fitted = f"_{fitted}"
        if self.is_good(fitted) and fitted not in self._taken:
            return fitted
        mark = hashlib.sha256("\0".join(own).encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_LENGTH]
        marked = f"{fitted[: 63 - _HASH_LENGTH]}_{mark}"
        while marked in self._taken:
            marked = f"{marked[:62]}_{len(self._taken) % 10}"
        return marked
