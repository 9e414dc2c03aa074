"""Pages of HTML as text, one case each."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.upstream.documents import html
from trunkline.upstream.documents.child import answered, warm_up
from trunkline.upstream.documents.frames import Bounds, Said, Told

BOUNDS = Bounds(1, 100_000)


@dataclass(frozen=True)
class Case:
    id: str
    page: str | bytes
    text: str


CASES = (
    Case("paragraphs", "<p>one<p>two", "one\n\ntwo"),
    Case("the title", "<title>T</title><body>x", "T\n\nx"),
    Case("headings", "<h1>A  b</h1>c<h3>D<br>e</h3>", "# A b\n\nc\n\n### D e"),
    Case("spaces and breaks", "a\n  b<br>c <br> d&nbsp;e", "a b\nc\nd e"),
    Case("links and emphasis", 'go <a href="https://x.example">here</a>, <b>no</b>w', "go here, now"),
    Case("lists", "<ul><li>a<li>b<ol><li>c<li><p>d<p>e</ol></ul>f", "- a\n- b\n  1. c\n  2. d\n\ne\n\nf"),
    Case("items of no list", "<li>a<li>b", "- a\n- b"),
    Case(
        "tables",
        "<table><caption>C</caption><tr><th>a<th>b<tr><td>1|<td><p>2<p>3</table>",
        "C\n\n| a | b |\n| --- | --- |\n| 1\\| | 2 3 |",
    ),
    Case("tables for the look of it", "<table><tr><td>a<tr><td>b</table>", "a\n\nb"),
    Case(
        "tables within tables",
        "<table><tr><td>a<td><table><tr><td>b<td>c</table></table>",
        "| a | b c |\n| --- | --- |",
    ),
    Case("text as it stands", "<pre>a\n  b</pre>", "```\na\n  b\n```"),
    Case("scripts, styles, comments", "a<script>x</script><style>y</style><!-- z --><template>t</template>b", "ab"),
    Case("what is hidden", "a<p hidden>x<p style='Display : none'>y<p>b", "a\n\nb"),
    Case("pictures by their words", "<img src=x alt='a cat'><img src=y>", "[a cat]"),
    Case("characters by name", "&lt;b&gt; &auml; &#x1f600;", "<b> ä 😀"),
    Case("what is never closed", "<div><p>a<table><tr><td>b", "a\n\nb"),
    Case("what was never opened", "</td></table></div>a", "a"),
    Case("control characters", "a\x00\x08\x1bb\ufeff", "ab"),
    Case("UTF-8", "ä€".encode(), "ä€"),
    Case("UTF-16 with its mark", "<p>ä".encode("utf-16"), "ä"),
    Case("UTF-8 with its mark, whatever it says", b"\xef\xbb\xbf<meta charset=koi8-r>\xc3\xa4", "ä"),
    Case("an encoding that it tells", "<meta charset='windows-1251'>Привет".encode("cp1251"), "Привет"),
    Case("one that it tells the old way", b'<meta content="text/html; charset=ISO-8859-1">\x80', "€"),
    Case("one that it cannot be in", b"<meta charset=utf-16>a", "a"),
    Case("one that nobody knows", b"<meta charset=zip>a\xe4", "aä"),
    Case("none that it tells", b"a\xe4", "aä"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_says(case: Case) -> None:
    page = case.page if isinstance(case.page, bytes) else case.page.encode()
    assert html.read(page, BOUNDS) == Said(case.text, 1, 0)


REFUSED: tuple[tuple[str, bytes, Told], ...] = (
    ("nothing to read", b"<script>x</script>", "empty"),
    ("another kind", b"%PDF-1.7", "damaged"),
    ("too much said", b"<p>" + b"x" * 100_001, "too_much_text"),
)


@pytest.mark.parametrize(("document", "cause"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_is_refused(document: bytes, cause: Told) -> None:
    assert answered("html", "parse", document, BOUNDS) == cause


TAGS = ("<p>", "<li>", "<ul>", "</ol>", "<table>", "<td>", "</table>", "<pre>", "</p>", "<h2>", "<tr>", "</div>", "x ")


@given(st.lists(st.sampled_from(TAGS), max_size=30))
def test_any_order_of_tags_is_read(tags: list[str]) -> None:
    told = answered("html", "parse", "".join(tags).encode(), BOUNDS)
    assert told == "empty" if "x " not in tags else isinstance(told, Said)


def test_a_deep_page_is_read_without_recursion() -> None:
    assert html.read(b"<div>" * 3_000 + b"x", BOUNDS).text == "x"


def test_a_row_is_not_filled_up() -> None:
    page = b"<table><tr>" + b"<td>x" * 5_000 + b"<tr><td>y" * 5_000
    assert len(html.read(page, BOUNDS).text) < 100_000


def test_all_kinds_are_read_ahead() -> None:
    assert warm_up()
