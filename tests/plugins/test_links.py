"""Which links of a text are found, and that it makes no difference how the text comes."""

from __future__ import annotations

import sys
from random import Random
from types import FrameType

import pytest

from trunkline.plugins.links import Link, Links

A, B = "https://a.example/x", "https://b.example/wiki/Kite_(toy)"

CASES = {
    "a Markdown link": (f"See [Kites]({A}).", [f"[Kites]({A})"]),
    "a bare address, without the full stop": (f"See {A}.", [A]),
    "a bare address in brackets of the sentence": (f"(see {A}), ({A})", [A, A]),
    "parentheses in an address": (f"[Toy]({B}) and {B}, ({B})", [f"[Toy]({B})", B, B]),
    "several, in their order": (f"{A} [b]({B})\n{A}", [A, f"[b]({B})", A]),
    "an address in angle brackets": (f"<{A}> and [a](<{A}>)", [f"<{A}>", f"[a](<{A}>)"]),
    "a title of the link": (f"[a]({A} \"A (b)\") [a]({A} 'A') [a]( {A}  )", 3),
    "brackets in the text of a link": (f"[[1]]({A}) [a [b] c]({A})", [f"[[1]]({A})", f"[a [b] c]({A})"]),
    "a link in the text of a link": (f"[a [b]({A}) c]({B})", [f"[b]({A})", B]),
    "an address as the text of a link": (f"[{A}]({A})", [f"[{A}]({A})"]),
    "… to what was not found": (f"[{A}](https://c.example)", []),
    "emphasis": (f"**[a]({A})** **{A}** _{A}_", [f"[a]({A})", A, A]),
    "a picture": (f"![a]({A})", [f"[a]({A})"]),
    "a mark is none": ("As said [1], and [2](#two).", []),
    "a footnote holds one": (f"[^1]: {A}\n[2]: <{A}>", [A, f"<{A}>"]),
    "what was not found is none": ("[c](https://c.example) https://c.example", []),
    "no scheme": ("[a](a.example/x) www.a.example/x a.example/x", ["[a](a.example/x)", "www.a.example/x"]),
    "capital letters": ("HTTPS://A.example/x", ["HTTPS://A.example/x"]),
    "in a word": (f"x{A}", []),
    "not plain letters before it": (f"Grüße 🪁 [Drachen]({A}) 凧{A}。", [f"[Drachen]({A})", A]),
    "Chinese goes on without a blank": (f"请看{A}的网页（{A}）", [A, A]),
    "a table": (f"|[a]({A})|{A}|", [f"[a]({A})", A]),
    "HTML": (f'<a href="{A}">a</a>', [A]),
    "a target that comes to nothing holds an address": (f"[1]({A} and more", [A]),
    "a bracket that is never closed": (f"[see {A} and [b]({B}", [A, B]),
    "a line end closes what is open": (f"[a\n{A}]({A})\n[a](\n{A})", [A, A, A]),
    "a blank before the target": (f"[a] ({A})", [A]),
    "an escape in the text": (f"[a\\]b]({A}) \\[c]({A})", [f"[a\\]b]({A})", A]),
    "an escape in the address": ("[a](https://c.example/a\\_b)", ["[a](https://c.example/a\\_b)"]),
    "in code it is none": (f"`[a]({A})` ``{A} ` {A}`` {B}", [B]),
    "code in the text of a link": (f"[`a`]({A}) [`]`]({A})", 2),
    "code takes a bracket with it": (f"[a `]({A})` b", []),
    "a backtick without its like": (f"`[a]({A})\n`` {A} `", [f"[a]({A})", A]),
    "an escaped backtick": (f"\\`{A}\\`", [A]),
    "between fences it is none": (f"```py\n{A}\n[a]({A})\n```\n{A}", [A]),
    "fences of other marks, and within a quotation": (f"~~~~\n{A}\n~~~\n{A}\n~~~~\n> ```\n> {A}\n> ```\n{A}", [A]),
    "fences that are code in a line": (f"```{A}``` {A}\n{A}", [A, A]),
    "a fence that nobody ends": (f"{A}\n```\n{A}", [A]),
    "a fence that has just begun": (f"``` {A}", []),
    "no end": ("https://a.example/x", [A]),
    "an address that is too long": (f"{A}{'x' * 3_000} {A}", [A]),
    "a target that is too long": (f"[a]({A}{'x' * 3_000}) {A}", [A]),
}
KNOWN = {A.partition("//")[2], B.partition("//")[2], "c.example/a_b"}


def is_found(url: str) -> bool:
    return url.lower().replace("https://", "").replace("www.", "") in {each.lower() for each in KNOWN}


def links_of(*pieces: str) -> list[Link]:
    machine = Links(is_found)
    return [link for piece in pieces for link in machine.feed(piece)] + machine.end()


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES)
def test_the_links_of_a_text(text: str, expected: list[str] | int) -> None:
    found = [text[link.start : link.end] for link in links_of(text)]
    assert found == expected if isinstance(expected, list) else len(found) == expected


def test_300_random_cuts_find_the_same() -> None:
    dice = Random(13)
    texts = [text for text, _ in CASES.values()]
    texts.append("\n\n".join(dice.sample(texts, len(texts))))
    texts += [
        "".join(dice.choices(["[", "]", "(", ")", "`", "\\", "\n", "<", ">", "a ", A, "~~~"], k=60)) for _ in "a" * 40
    ]
    for text in texts:
        whole = links_of(text)
        assert links_of(*text) == whole
    for _ in range(300):
        text = dice.choice(texts)
        cuts = sorted(dice.choices(range(len(text) + 1), k=dice.randint(1, 12)))
        pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        assert links_of(*pieces) == links_of(text)


def test_a_link_is_told_with_the_text_that_ends_it() -> None:
    machine = Links(is_found)
    assert machine.feed(f"See [a]({A}") == []
    assert machine.feed(")") == [Link(4, 8 + len(A) + 1, A)]
    assert machine.feed(f" {A}") == []
    assert [link.url for link in machine.feed(" ")] == [A]


PATIENCE = [
    "[",
    "]",
    "(",
    "[](",
    "`",
    "``\\",
    "<",
    "\\",
    "https://",
    f"{A} ",
    f"[{A} ",
    f"[a]({A})",
    f"`{A} ",
    "\n",
    "~~~\n",
]


@pytest.mark.parametrize("piece", PATIENCE)
def test_work_grows_with_the_text_alone_and_what_is_kept_does_not(piece: str) -> None:
    """Counted in calls, which no other load changes: twice the text is twice the work."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    def work(size: int) -> int:
        nonlocal calls
        calls, text, machine = 0, piece * (size // len(piece)), Links(is_found)
        sys.setprofile(count)
        try:
            for place in range(0, len(text), 1_000):
                machine.feed(text[place : place + 1_000])
        finally:
            sys.setprofile(None)
        kept = [value for value in vars(machine).values() if hasattr(value, "__len__")]
        assert sum(map(len, kept)) < 5_000
        assert machine._target is None or len(machine._target.pieces) <= 2_049
        return calls

    size = 100_000 if piece == "[" else 16_000
    assert work(size) < 2.2 * work(size // 2) < 60 * size
