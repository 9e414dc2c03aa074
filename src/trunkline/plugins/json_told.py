"""What is told of a JSON text, and what is open in it: the stack of `healing.py`, and what closes it.

It reads nothing but the brackets it is given; which state reads on is only noted.
"""

from __future__ import annotations

from typing import Final, Literal

from trunkline.plugins.json_quotes import closers_over, is_key_ahead
from trunkline.plugins.json_words import BRACKET, SPACE

State = Literal["find", "raw", "value", "key", "colon", "next", "text", "comment", "after", "over"]
"""What reads on: see `healing.py`."""

MAX_DEPTH: Final = 256
MAX_HELD: Final = 4096
WAIT: Final = -1
"""In the place of where a state has read to: more has to be heard first."""

OPENER: Final = {"}": "{", "]": "["}
_CLOSER: Final = {"{": "}", "[": "]"}
_MAX_LOOKS: Final = 16
_MAX_AHEAD: Final = 256 * 1024


class Told:
    """What is told and open of one text.

    `changed` names what was not legal. `is_unrepairable`: from somewhere on the text was told as it came.
    """

    __slots__ = (
        "_back", "_comma", "_is_all", "_is_key", "_is_raw", "_looks", "_quote", "_sees_all", "_stack", "_state",
        "_told", "changed", "is_unrepairable",
    )  # fmt: skip

    def __init__(self, *, sees_all: bool) -> None:
        self._sees_all = sees_all
        self._is_all = sees_all
        self._stack: list[str] = []
        self._state: State = "find"
        self._back: State = "find"
        self._told: list[str] = []
        self._comma = ""
        self._quote = ""
        self._is_key = False
        self._looks = 0
        self._is_raw = False
        self.changed: set[str] = set()
        self.is_unrepairable = False

    def _take(self) -> str:
        pieces = self._told
        if len(pieces) == 1:
            return pieces.pop()
        told = "".join(pieces)
        pieces.clear()
        return told

    def _flush(self) -> None:
        if self._comma:
            self._told.append(self._comma)
            self._comma = ""

    def _give_up(self, rest: str) -> None:
        """Tell everything as it comes from here on."""
        self._flush()
        self._told.append(rest)
        self._quote, self._state, self._is_raw, self.is_unrepairable = "", "raw", True, True

    def _space(self, text: str, place: int) -> int:
        space = SPACE.match(text, place)
        assert space is not None
        if self._comma or not self._stack:
            self._comma += space[0]
            if len(self._comma) > MAX_HELD and self._stack:
                self._give_up("")
        else:
            self._told.append(space[0])
        return space.end()

    def _mend(self, kind: str, told: str, state: State) -> None:
        self.changed.add(kind)
        self._flush()
        self._told.append(told)
        self._state = state

    def _open(self, text: str, place: int) -> int:
        if len(self._stack) == MAX_DEPTH:
            self._give_up(text[place:])
            return len(text)
        self._flush()
        opened = BRACKET.match(text, place)
        assert opened is not None
        self._told.append(opened[0])
        self._stack.append(bracket := text[place])
        self._state = "key" if bracket == "{" else "value"
        return opened.end()

    def _close(self, text: str, place: int) -> int:
        sign, stack = text[place], self._stack
        opener = OPENER[sign]
        if stack[-1] == opener:
            self._pop()
            return place + 1
        is_followed = self._is_followed_by_comma(text, place + 1)
        if is_followed is None:
            return WAIT
        self.changed.add("closer")
        depth = len(stack)
        if opener in stack:
            while stack[depth - 1] != opener:
                depth -= 1
            if not (depth == 1 and is_followed) and not self._closes_less(text, place + 1, depth):
                while len(stack) >= depth:
                    self._pop()
                return place + 1
        if depth > 1 or not is_followed or opener in stack:
            self._pop()
        return place + 1

    def _pop(self) -> None:
        if self._comma:
            self.changed.add("comma")
            self._told.append(self._comma.replace(",", ""))
            self._comma = ""
        self._told.append(_CLOSER[self._stack.pop()])
        self._state = "next" if self._stack else "after"

    def _close_object(self, place: int) -> int:
        """Close an object in a list where the next one begins."""
        self.changed.add("closer")
        comma, self._comma = self._comma, ""
        self._pop()
        self._comma, self._state = comma, "value"
        return place

    def _is_followed_by_comma(self, text: str, at: int) -> bool | None:
        space = SPACE.match(text, at)
        assert space is not None
        if space.end() == len(text):
            return False if self._is_all else None
        return text[space.end()] == ","

    def _closes_less(self, text: str, at: int, depth: int) -> bool:
        """Whether the rest of a whole answer closes so much that a wrong closer stands for the innermost alone."""
        self._looks += 1
        if not self._sees_all or self._looks > _MAX_LOOKS or len(text) - at > _MAX_AHEAD:
            return False
        return closers_over(text, at) >= len(self._stack) - 1 > depth - 1

    def _is_really_key(self, text: str, place: int) -> bool:
        """Whether a text in a list is a key of the object around it, so that the list ends before it."""
        if self._stack[-2:] != ["{", "["] or not is_key_ahead(text, place):
            return False
        self.changed.add("closer")
        comma, self._comma = self._comma or ",", ""
        self._pop()
        self._comma, self._state = comma, "key"
        return True

    def _finish(self) -> None:
        """Close all that is open."""
        if self._quote:
            self._told.append('"')
            self._quote, self._state = "", "colon" if self._is_key else "next"
        if self._state == "comment":
            self._state = self._back
        if self._state == "colon":
            self._told.append(":null")
        elif self._state == "value" and self._stack[-1] == "{":
            self._told.append("null")
        while self._stack:
            self._pop()
