"""JSON as models write it → JSON that parses, piece by piece as it comes; a machine.

Theory of operation
-------------------

**Told is legal.** A pushdown machine over characters: what it tells is at any moment the beginning of a legal JSON
text, so nothing told has ever to be taken back, and the end can always be made by closing what is open. What is legal
as it comes is told as it comes, character by character; only what the next signs decide about is held.

**Find.** Until the root bracket all is held (`json_roots.py`), at most 16 KiB. An answer that begins with a bracket of
another kind, or with a quote, may be legal JSON of another kind: it is held to its end, and told as it is if it is so.

**Within.** Each step reads one token in one of the states *value*, *key*, *colon*, *next* (a value has ended), *text*
(within quotes) and *comment*:

| heard | told |
|---|---|
| what stands in quotes | at once; a raw line end or a lone backslash as its escape |
| a quote within a text | held until what follows says whether it ends the text (`json_quotes.py`); else escaped |
| a comma and the white space after it | held until the next token; dropped before a closer or another comma |
| numbers, literals, bare words | held to their end: as they are, as what they stand for, or as texts |
| a key or text in other quotes or in none | in quotes |
| comments, ellipses, stray signs, control characters | nothing |
| a value, comma or colon that is missing | `null`, a comma, a colon |
| a closer that does not match | closers for what is open down to its opener; if it has none, the closer that was due |
| what follows the root | nothing; white space there is held to the end |

**End.** A model that ended its answer by itself has what is open closed. An answer that was cut is told as it was
heard, and nothing is closed: half an answer is no answer.

**Bounds.** A depth of 256, 4 KiB held, 2,000 quotes within texts, 10,000 signs left out, a million tokens read one by
one (100,000 of a whole answer): beyond, all is told as it is heard (*raw*), which keeps what is legal legal.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from trunkline.plugins.json_quotes import QUOTES
from trunkline.plugins.json_roots import Root, first_sign, kinds_before, root_in
from trunkline.plugins.json_texts import Texts
from trunkline.plugins.json_told import MAX_HELD, OPENER, WAIT, State
from trunkline.plugins.json_words import (
    ASIDE,
    ATOM,
    ATOM_LIST_RUN,
    ATOM_RUN,
    BARE,
    BARE_KEY,
    COMMA,
    ELLIPSIS,
    NO_SIGN,
    atom_of,
    is_json,
    quoted,
)

MAX_BEFORE_ROOT: Final = 16 * 1024
MAX_LEFT_OUT: Final = 10_000
MAX_STEPS: Final = 1_000_000
MAX_STEPS_WHOLE: Final = 100_000

_READS_ATOM, _READS_ATOMS, _READS_ATOM_RUN = ATOM.match, ATOM_LIST_RUN.match, ATOM_RUN.match
_WHITE: Final = frozenset(" \t\r\n")
_AFTER_ROOT: Final = {"`": "fence", "~": "fence", "{": "roots", "[": "roots", "}": "closer", "]": "closer"}


class Healer(Texts):
    """Heals one text whose JSON begins with one of the brackets in `root`.

    `changed` names what was not legal. `is_unrepairable`: from somewhere on it was told as it came. With `sees_all` the
    whole text is fed at once, and looked at further ahead. `steps` counts the tokens read, of which there are at most a
    few for each character.
    """

    __slots__ = ("_held", "_left_out", "_root", "_seen", "_until", "steps")

    def __init__(self, root: Root, *, sees_all: bool = False) -> None:
        super().__init__(sees_all=sees_all)
        self._root: Root = root
        self._held = ""
        self._left_out = 0
        self._until = ""
        self._seen = 0
        self.steps = 0

    @property
    def held(self) -> str:
        """What was heard and is not told yet."""
        return self._comma + self._held

    def feed(self, text: str) -> str:
        """Hear more; give what can be told by now."""
        if self._held:
            return self._run(self._held + text)
        if self._quote:
            return self._read_on(text)
        return text if self._is_raw else self._run(text)

    def end(self, *, is_cut: bool) -> str:
        """Give the last that is told: what is open is closed, but of an answer that was cut."""
        if is_cut or self._is_raw:
            held, self._held, self._comma, self._is_raw = self.held, "", "", True
            return held
        self._is_all = True
        told = self._run(self._held) if self._held else ""
        if self._state == "find":
            held, self._held = self._held, ""
            self.is_unrepairable = bool(held.strip()) and not is_json(held)
            return held
        if self._stack and not self._is_raw:
            self.changed.add("closer")
            self._finish()
        elif self._comma:
            self._flush()
        return told + self._take()

    def _read_on(self, text: str) -> str:
        """Hear more within a text: nearly always all of it is legal, and told in one piece."""
        run = self._reads(text)
        assert run is not None
        if run.lastindex:
            self._land(run.lastindex)
        end = run.end()
        if end == len(text):
            return text
        if end:
            self._told.append(run[0])
        if not self._quote:
            return self._run(text, end)
        self.steps += 1
        after = self._sign(text, end, end)
        if after == WAIT:
            self._hold(text[end:])
        elif after < len(text):
            return self._run(text, after)
        return self._take()

    def _run(self, text: str, place: int = 0) -> str:
        end, steps, most = len(text), self.steps, MAX_STEPS_WHOLE if self._sees_all else MAX_STEPS
        self._held = ""
        while place < end:
            steps += 1
            if steps > most or self._left_out > MAX_LEFT_OUT:
                self._give_up(text[place:])
                break
            after = _STEPS[self._state](self, text, place)
            if after == WAIT:
                if self._is_all and self._state != "find":
                    place += 1  # nothing comes that would make a token of it
                    continue
                self._hold(text[place:])
                break
            place = after
        self.steps = steps
        return self._take()

    def _hold(self, rest: str) -> None:
        """Keep what is undecided until more comes, but not too much of it."""
        self._held = rest
        if len(rest) + len(self._comma) > MAX_HELD and self._state != "find":
            self._give_up(rest)
            self._held = ""

    # The states: each reads on from a place, and gives where it has come to, or that more has to be heard first

    def _raw(self, text: str, place: int) -> int:
        self._told.append(text[place:])
        return len(text)

    def _find(self, text: str, _: int) -> int:
        begin = first_sign(text)
        if begin == len(text):
            return self._hold_on(text)
        if text[begin] in self._root:
            return self._begin(text, begin)
        if text[begin] in '"[{' and not self._sees_all:
            if not self._is_all:
                return self._hold_on(text)
            if is_json(text):
                self._state, self._is_raw = "raw", True
                return 0
        found = root_in(text, self._root, self._seen, is_all=self._is_all or self._sees_all)
        self._seen = found.at
        return self._begin(text, found.at) if found.is_root else self._hold_on(text)

    def _hold_on(self, text: str) -> int:
        if len(text) <= MAX_BEFORE_ROOT or self._is_all:
            return WAIT
        self._give_up(text)
        return len(text)

    def _begin(self, text: str, at: int) -> int:
        if before := text[:at]:
            self.changed |= (kinds := kinds_before(before))
            if not kinds:
                self._told.append(before)
        return self._open(text, at)

    def _value(self, text: str, place: int) -> int:
        sign = text[place]
        if sign in _WHITE:
            return self._space(text, place)
        if sign == '"':
            if self._sees_all and self._is_really_key(text, place):
                return place
            return self._read_text(text, place, is_key=False)
        if sign in "{[":
            return self._open(text, place)
        reads = _READS_ATOMS if self._stack[-1] == "[" else _READS_ATOM if self._sees_all else _READS_ATOM_RUN
        if (atom := reads(text, place)) is not None:
            self._atom(atom[0], 0)
            if atom.lastindex:
                self._quote, self._state = '"', "text"
                self._land(atom.lastindex)
            return atom.end()
        if sign.isalnum() or sign == "-":
            return self._bare(text, place)
        if sign in OPENER:
            return self._close_early(text, place)
        if sign == ",":
            return self._missing_value(place)
        if sign == ":":
            return self._leave_out("stray", place + 1)
        if sign in QUOTES:
            self.changed.add("quotes")
            return self._read_text(text, place, is_key=False)
        if (after := self._skip(text, place)) != place:
            return after
        return self._bare(text, place)

    def _key(self, text: str, place: int) -> int:
        sign = text[place]
        if sign in _WHITE:
            return self._space(text, place)
        if sign == '"':
            return self._read_text(text, place, is_key=True)
        if sign in OPENER:
            return self._close(text, place)
        if sign == "{" and self._comma and self._stack[-2:-1] == ["["]:
            return self._close_object(place)
        if sign in ",:{[":
            return self._leave_out("comma" if sign == "," else "stray", place + 1)
        if sign in QUOTES:
            self.changed.add("quotes")
            return self._read_text(text, place, is_key=True)
        if (after := self._skip(text, place)) != place:
            return after
        return self._bare_key(text, place)

    def _colon(self, text: str, place: int) -> int:
        sign = text[place]
        if sign in _WHITE:
            return self._space(text, place)
        if sign == ":":
            self._told.append(":")
            self._state = "value"
            return place + 1
        if sign == "=":
            if place + 1 == len(text) and not self._is_all:
                return WAIT
            self._mend("colon", ":", "value")
            return place + 2 if text.startswith("=>", place) else place + 1
        if sign in ",}]":
            self._mend("value", ":null", "next")
            return place
        if (after := self._skip(text, place)) != place:
            return after
        self._mend("colon", ":", "value")
        return place

    def _next(self, text: str, place: int) -> int:
        sign = text[place]
        if sign in _WHITE:
            return self._space(text, place)
        is_object = self._stack[-1] == "{"
        if sign == ",":
            comma = COMMA.match(text, place)
            assert comma is not None
            if comma.lastindex and not self._sees_all:
                self._told.append(comma[0][:-1])
                return self._read_text(text, comma.end() - 1, is_key=is_object)
            self._comma = comma[0][:-1] if comma.lastindex else comma[0]
            self._state = "key" if is_object else "value"
            return place + len(self._comma)
        if sign in OPENER:
            return self._close(text, place)
        if sign in ":=)":
            return self._leave_out("stray", place + 1)
        if (after := self._skip(text, place)) != place:
            return after
        self.changed.add("comma")
        self._comma = ","
        self._state = "key" if is_object else "value"
        return place

    def _comment(self, text: str, place: int) -> int:
        end = text.find(self._until, place)
        if end >= 0:
            self._state = self._back
            return end if self._until == "\n" else end + 2
        if self._until == "*/" and text[-1] == "*" and not self._is_all:
            return len(text) - 1 if place < len(text) - 1 else WAIT
        return len(text)

    def _after(self, text: str, place: int) -> int:
        if text[place] not in _WHITE:
            self.changed.add(_AFTER_ROOT.get(text[place], "prose"))
            self._comma = ""
            self._state = "over"
            return len(text)
        after = self._space(text, place)
        if len(self._comma) > MAX_HELD:
            self._flush()
        return after

    def _over(self, text: str, place: int) -> int:
        return len(text)

    # What a state does with one kind of sign

    def _atom(self, atom: str, after: int) -> int:
        self._flush()
        self._told.append(atom)
        self._state = "next"
        return after

    def _bare(self, text: str, place: int) -> int:
        """Read a number, a literal or a text without quotes, to its end."""
        run = BARE.match(text, place)
        assert run is not None
        end = run.end()
        if end == len(text) and not self._is_all:
            return WAIT
        if (aside := ASIDE.search(text, place, end)) is not None:
            end = aside.start()
        said = text[place:end].rstrip(" \t;")
        word = said.split(None, 1)[0] if said else said
        if word != said and (atom_of(word) is not None) and (self._stack[-1] == "[" or ":" in said):
            said, end = word, place + len(word)
        if text.find(";", place + len(said), end) >= 0:
            self.changed.add("stray")
        atom = atom_of(said)
        if atom != said:
            self.changed.add("text" if atom is None else "number" if atom[-1].isdigit() else "literal")
        return self._atom(quoted(said) if atom is None else atom, end)

    def _bare_key(self, text: str, place: int) -> int:
        run = BARE_KEY.match(text, place)
        assert run is not None
        end = run.end()
        if end == len(text) and not self._is_all:
            return WAIT
        key = run[0].rstrip()
        if end == len(text) or text[end] not in ':="':
            return self._leave_out("stray", end)
        self._mend("key", quoted(key), "colon")
        return end + 1 if text[end] == '"' else end

    def _skip(self, text: str, place: int) -> int:
        """Pass over what is no token; the same place where a token stands there."""
        sign = text[place]
        if sign == "#":
            return self._begin_comment("\n", place + 1)
        if sign in "/\\." and place + 1 == len(text) and not self._is_all:
            return WAIT
        if text.startswith(("//", "/*"), place):
            return self._begin_comment("\n" if text[place + 1] == "/" else "*/", place + 2)
        if (ellipsis := ELLIPSIS.match(text, place)) is not None:
            return self._leave_out("ellipsis", ellipsis.end())
        if (unseen := NO_SIGN.match(text, place)) is not None:
            return self._leave_out("control", unseen.end())
        if sign == "\\":
            return self._leave_out("escape", place + 2 if text[place + 1 : place + 2] in ("n", "r", "t") else place + 1)
        return self._leave_out("stray", place + 1) if sign in ";`”’" else place

    def _leave_out(self, kind: str, after: int) -> int:
        self.changed.add(kind)
        self._left_out += 1
        return after

    def _begin_comment(self, until: str, after: int) -> int:
        self._leave_out("comment", after)
        self._back, self._until, self._state = self._state, until, "comment"
        return after

    def _close_early(self, text: str, place: int) -> int:
        """Read a closer where a value is due: there may be none in a list, but after a colon."""
        if self._stack[-1] == "{":
            self._mend("value", "null", "next")
            return place
        return self._close(text, place)

    def _missing_value(self, place: int) -> int:
        if self._stack[-1] == "{":
            self._mend("value", "null", "next")
            return place
        return self._leave_out("comma", place + 1)


_STEPS: Final[dict[State, Callable[[Healer, str, int], int]]] = {
    "find": Healer._find,
    "raw": Healer._raw,
    "value": Healer._value,
    "key": Healer._key,
    "colon": Healer._colon,
    "next": Healer._next,
    "text": Healer._text,
    "comment": Healer._comment,
    "after": Healer._after,
    "over": Healer._over,
}


class Healed(NamedTuple):
    """A whole text, healed: as it came where that was not needed or is beyond repair."""

    text: str
    changed: set[str]
    is_unrepairable: bool


def heal(text: str, root: Root) -> Healed:
    """Heal a whole text, all of which is looked at before any of it is told."""
    if not text.strip() or is_json(text):
        return Healed(text, set(), is_unrepairable=False)
    healer = Healer(root, sees_all=True)
    told = healer.feed(text) + healer.end(is_cut=False)
    if healer.is_unrepairable or not is_json(told):
        return Healed(text, set(), is_unrepairable=True)
    return Healed(told, healer.changed, is_unrepairable=False)
