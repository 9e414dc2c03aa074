"""Documents as models write them, and each kind of breakage that models are known for, done to them on purpose.

Each breaks the text of a document somewhere by chance, and gives it with the value that it stands for; None where the
document has nothing that could be broken in that way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from random import Random
from typing import Any

_WORDS = (
    "name answer total price city Berlin Köln 東京 items list of the a is not for user id status active summary title "
    "description score tags reason it's don't O'Brien 50% 3.5 v2.0 C++ e.g. a,b x:y {curly} [square] (round) // # http"
)
WORDS = _WORDS.split()
KEYS = ("name", "value", "total", "is_valid", "items", "price", "id", "tag")
LEADS = (
    "Here is the JSON you asked for:\n\n",
    "Sure! ",
    "As [1] and {this} show, the answer is: ",
    "**Answer**\n",
    "json\n",
)
CITED = (
    'He said "no" to it',
    'the "best" one',
    'a 5" pipe',
    '"quoted" start',
    'ends in "quotes"',
    'so "a", or "b" then',
    '"all"',
)
NUMBERS = (("0x1F", 31), ("+5", 5), ("007", 7), (".5", 0.5), ("5.", 5), ("1_000", 1000), ("-.25", -0.25))


def sentence(dice: Random, most: int = 8) -> str:
    """Some words as a text."""
    text = " ".join(dice.choice(WORDS) for _ in range(dice.randint(1, most)))
    if dice.random() < 0.12:
        text += dice.choice(("\n", "\t", "\\", "é\n- point", '\n"cited"', " “smart” ", ", ", ": "))
    return text


def key(dice: Random) -> str:
    return "_".join(dice.choice(KEYS) for _ in range(dice.randint(1, 2)))


def value(dice: Random, depth: int) -> Any:
    """Some value, as nested as it may be."""
    kind = dice.random()
    if depth and kind < 0.22:
        return {f"{key(dice)}{n}": value(dice, depth - 1) for n in range(dice.randint(0, 4))}
    if depth and kind < 0.42:
        inner = dice.choice((lambda: value(dice, depth - 1), lambda: sentence(dice), lambda: dice.randint(-9, 999)))
        return [inner() for _ in range(dice.randint(0, 4))]
    if kind < 0.75:
        return sentence(dice)
    return dice.choice((0, 1, -7, 12.5, 1e21, -0.001, 123456789012, True, False, None, "", "5"))


def document(dice: Random) -> dict[str, Any]:
    """What a model may be asked for: an object of a few members."""
    return {f"{key(dice)}{n}": value(dice, 3) for n in range(dice.randint(1, 5))}


def written(dice: Random, told: object) -> str:
    """A document as one of the ways of writing JSON."""
    indent = dice.choice((None, None, 2, 4))
    separators = dice.choice((None, (",", ":"))) if indent is None else None
    return json.dumps(told, ensure_ascii=dice.random() < 0.3, indent=indent, separators=separators)


def outside(text: str) -> list[int]:
    """Where the signs stand that are in no text."""
    places: list[int] = []
    at = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"', text):
        places += range(at, found.start())
        at = found.end()
    return [*places, *range(at, len(text))]


def place_of(dice: Random, text: str, signs: str) -> int | None:
    """One of these signs that stands in no text."""
    places = [at for at in outside(text) if text[at] in signs]
    return dice.choice(places) if places else None


def texts_of(text: str) -> list[tuple[int, int, bool]]:
    """Where each text stands without its quotes, and whether it is a key."""
    found = re.finditer(r'"((?:[^"\\]|\\.)*)"(\s*:)?', text)
    return [(each.start(1), each.end(1), each[2] is not None) for each in found]


Break = Callable[[Random, Any], tuple[str, Any] | None]
BREAKS: dict[str, Break] = {}


def kind(broken: Break) -> Break:
    BREAKS[broken.__name__] = broken
    return broken


@kind
def fence(dice: Random, told: Any) -> tuple[str, Any]:
    tag = dice.choice(("json", "", "JSON", "javascript"))
    return f"```{tag}\n{written(dice, told)}\n```" + dice.choice(("", "\n")), told


@kind
def prose_before(dice: Random, told: Any) -> tuple[str, Any]:
    lead = dice.choice(LEADS)
    return lead + written(dice, told), told


@kind
def prose_after(dice: Random, told: Any) -> tuple[str, Any]:
    trail = dice.choice(("\n\nLet me know if you need more!", " That is all.", "\n\nNote: {x} and [1] are left out."))
    return written(dice, told) + trail, told


@kind
def fence_in_prose(dice: Random, told: Any) -> tuple[str, Any]:
    return f"Of course:\n\n```json\n{written(dice, told)}\n```\n\nThe `id` is a guess.", told


@kind
def trailing_comma(dice: Random, told: Any) -> tuple[str, Any] | None:
    text = written(dice, told)
    at = place_of(dice, text, "}]")
    if at is None or text[:at].rstrip()[-1] in "[{":
        return None
    return f"{text[:at]},{text[at:]}", told


@kind
def missing_comma(dice: Random, told: Any) -> tuple[str, Any] | None:
    text = json.dumps(told, indent=2)
    at = place_of(dice, text, ",")
    return None if at is None else (text[:at] + text[at + 1 :], told)


@kind
def doubled_comma(dice: Random, told: Any) -> tuple[str, Any] | None:
    text = written(dice, told)
    at = place_of(dice, text, ",")
    return None if at is None else (f"{text[:at]},{text[at:]}", told)


@kind
def single_quotes(dice: Random, told: Any) -> tuple[str, Any]:
    return repr(told), told


@kind
def unquoted_keys(dice: Random, told: Any) -> tuple[str, Any]:
    return re.sub(r'"(\w+)"(?=\s*:)', r"\1", written(dice, told)), told


@kind
def python_literals(dice: Random, told: Any) -> tuple[str, Any]:
    told = {**told, "flag": dice.choice((True, False, None))}
    text = written(dice, told)
    for at in sorted(outside(text), reverse=True):
        for word, other in (("true", "True"), ("false", "False"), ("null", "None")):
            if text.startswith(word, at):
                text = text[:at] + other + text[at + len(word) :]
    return text, told


@kind
def comments(dice: Random, told: Any) -> tuple[str, Any]:
    lines = json.dumps(told, indent=2).split("\n")
    for _ in range(dice.randint(1, 2)):
        at = dice.randrange(len(lines))
        lines[at] += dice.choice((" // the user's", " /* it's a guess */", " # see above, e.g. 1"))
    return "\n".join(lines), told


@kind
def inner_quotes(dice: Random, told: Any) -> tuple[str, Any]:
    said = dice.choice(CITED)
    told = {**told, "note": said, "last": 1} if dice.random() < 0.5 else {"note": said, **told}
    return written(dice, told).replace(json.dumps(said), f'"{said}"'), told


@kind
def raw_newlines(dice: Random, told: Any) -> tuple[str, Any]:
    told = {**told, "text": "first line\nsecond, and\n\tthird"}
    return written(dice, told).replace("\\n", "\n").replace("\\t", "\t"), told


@kind
def missing_closers(dice: Random, told: Any) -> tuple[str, Any]:
    text = written(dice, told).rstrip("}] \n\t")
    return text, told


@kind
def wrong_closer(dice: Random, told: Any) -> tuple[str, Any] | None:
    told = {**told, "list": [1, {"a": "b"}], "end": dice.randint(0, 9)}
    text = written(dice, told)
    at = place_of(dice, text[:-1], "]}")
    return None if at is None else (text[:at] + ("}" if text[at] == "]" else "]") + text[at + 1 :], told)


@kind
def no_numbers(dice: Random, told: Any) -> tuple[str, Any]:
    text = written(dice, {**told, "rate": 7777, "end": [7777, 1]})
    word = dice.choice(("NaN", "Infinity", "-Infinity", "undefined"))
    return text.replace("7777", word), {**told, "rate": None, "end": [None, 1]}


@kind
def odd_numbers(dice: Random, told: Any) -> tuple[str, Any]:
    word, number = dice.choice(NUMBERS)
    text = written(dice, {**told, "rate": 7777, "end": [7777, 1]})
    return text.replace("7777", word), {**told, "rate": number, "end": [number, 1]}


@kind
def smart_quotes(dice: Random, told: Any) -> tuple[str, Any] | None:
    text = written(dice, told)
    if "“" in text or '\\"' in text:
        return None
    return re.sub(r'"((?:[^"\\]|\\.)*)"', r"“\1”", text), told


@kind
def bom_and_control(dice: Random, told: Any) -> tuple[str, Any]:
    text = written(dice, told)
    at = place_of(dice, text, ",:{") or 0
    return "\ufeff" + text[: at + 1] + dice.choice(("\u00a0", "\u200b", "\x00", "\x1b")) + text[at + 1 :], told


@kind
def ellipsis(dice: Random, told: Any) -> tuple[str, Any]:
    told = {**told, "list": [1, 2], "more": ["x"]}
    text = written(dice, told)
    return re.sub(r'(?<=2)(?=\s*\])|(?<="x")(?=\s*\])', dice.choice((", ...", ", …", " ...")), text), told


@kind
def thinking(dice: Random, told: Any) -> tuple[str, Any]:
    tag = dice.choice(("think", "thinking"))
    return f'<{tag}>\nThe user wants {{"a": 1}} or so. [1, 2]\n</{tag}>\n\n{written(dice, told)}', told


@kind
def several_roots(dice: Random, told: Any) -> tuple[str, Any]:
    other = written(dice, document(dice))
    return written(dice, told) + dice.choice(("\n", "\n\n", "")) + other, told


@kind
def escaped_newlines(dice: Random, told: Any) -> tuple[str, Any]:
    lines = json.dumps(told, indent=2).split("\n")
    return "\\n".join(lines), told


@kind
def bare_texts(dice: Random, told: Any) -> tuple[str, Any]:
    told = {"status": "active", **told, "city": "New York"}
    return written(dice, told).replace('"active"', "active").replace('"New York"', "New York"), told


@kind
def missing_list_end(dice: Random, told: Any) -> tuple[str, Any]:
    told = {"rows": [{"a": 1}, {"b": dice.choice((2, "two"))}], **told}
    text = written(dice, told)
    at = text.index("}")
    return text[:at] + text[at + 1 :], told


@kind
def equal_signs(dice: Random, told: Any) -> tuple[str, Any] | None:
    text = written(dice, told)
    at = place_of(dice, text, ":")
    return None if at is None else (f"{text[:at]} => {text[at + 1 :]}", told)


def broken(dice: Random, kind: str) -> tuple[str, Any]:
    """A document broken in one way, and what it stands for."""
    while (made := BREAKS[kind](dice, document(dice))) is None:
        pass
    return made
