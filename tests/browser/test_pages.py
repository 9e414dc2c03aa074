"""The pages that the gateway serves can be read by everybody: narrow, dark, by keyboard, by a screen reader.

What can be told from the page itself is looked at everywhere; the rules of axe-core and the width in a real browser
where Chromium is installed (Debian: `apt-get install chromium`).
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from tests.browser.chromium import Page, found, open_page
from tests.gateway.server import Gateway, Reply, running
from tests.npm import AXE

PAGES = ["/docs"]
"""Every path that answers with HTML; `test_no_page_is_forgotten` finds those that are not here."""

VOID = {"meta", "br", "hr", "link", "img", "input"}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("pages"), "") as server:
        yield server


@dataclass
class Outline(HTMLParser):
    """What a page is made of, in order."""

    elements: list[tuple[str, dict[str, str | None], tuple[str, ...]]] = field(default_factory=list)
    texts: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)
    style: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs), tuple(self.stack)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag, f"</{tag}> closes what is not open"

    def handle_data(self, data: str) -> None:
        if self.stack[-1:] == ["style"]:
            self.style += data
        elif data.strip():
            self.texts.append((data, tuple(self.stack)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes, _ in self.elements if name == tag]


def outline(reply: Reply) -> Outline:
    found = Outline()
    found.feed(reply.body.decode())
    found.close()
    assert found.stack == []
    return found


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, gateway: Gateway) -> Reply:
    reply = gateway.request("GET", request.param)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/html; charset=utf-8")
    return reply


def test_no_page_is_forgotten(gateway: Gateway) -> None:
    reference = gateway.request("GET", "/docs").body.decode()
    paths = {"/", *re.findall(r"GET (/[\w/.]*)<", reference)}
    html = {path for path in paths if "html" in gateway.request("GET", path).headers.get("content-type", "")}
    assert html | {"/docs"} == set(PAGES)


class TestMarkup:
    def test_it_says_its_language_its_title_and_that_it_fits_a_narrow_screen(self, page: Reply) -> None:
        seen = outline(page)
        assert seen.all("html") == [{"lang": "en"}]
        assert [text for text, within in seen.texts if within[-1] == "title"]
        assert {"name": "viewport", "content": "width=device-width,initial-scale=1"} in seen.all("meta")

    def test_all_that_is_read_is_in_the_one_main_landmark(self, page: Reply) -> None:
        seen = outline(page)
        assert len(seen.all("main")) == 1
        outside = [text for text, within in seen.texts if "main" not in within and within[-1] != "title"]
        assert outside == []

    def test_the_headings_skip_no_level(self, page: Reply) -> None:
        levels = [int(tag[1]) for tag, _, _ in outline(page).elements if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))

    def test_what_scrolls_by_itself_is_within_the_reach_of_a_keyboard(self, page: Reply) -> None:
        assert all(each == {"tabindex": "0"} for each in outline(page).all("pre"))

    def test_tables_have_headers_that_say_what_they_are_over(self, page: Reply) -> None:
        seen = outline(page)
        assert seen.all("th")
        assert all(each.get("scope") in ("col", "row") for each in seen.all("th"))
        html = page.body.decode()
        assert html.count("<table") == html.count("<table><tr><th scope=col>")

    def test_links_lead_to_what_is_there_once(self, page: Reply) -> None:
        seen = outline(page)
        ids = [attributes["id"] for _, attributes, _ in seen.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        targets = [each["href"] or "" for each in seen.all("a")]
        assert targets
        assert [target for target in targets if target.removeprefix("#") not in ids] == []

    def test_nothing_runs_and_nothing_is_loaded(self, page: Reply) -> None:
        seen = outline(page)
        assert not [tag for tag, _, _ in seen.elements if tag in {"script", "img", "link", "iframe", "form", "base"}]
        assert not [name for _, attributes, _ in seen.elements for name in attributes if name in {"style", "src"}]
        assert not [name for _, attributes, _ in seen.elements for name in attributes if name.startswith("on")]
        digest = base64.b64encode(hashlib.sha256(seen.style.encode()).digest()).decode()
        policy = dict(rule.split(" ", 1) for rule in page.headers["content-security-policy"].split("; "))
        assert policy == {
            "default-src": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
            "style-src": f"'sha256-{digest}'",
        }
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["referrer-policy"] == "no-referrer"


def luminance(colour: str) -> float:
    """Source: https://www.w3.org/TR/WCAG22/#dfn-relative-luminance, seen 2026-11-27."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(digit * 2 for digit in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def colours(style: str) -> dict[tuple[str, str], str]:
    """(selector, property) → the last colour that is said of it."""
    found = {}
    for selectors, rules in re.findall(r"([^{}]+)\{([^{}]*)\}", style):
        for name, colour in re.findall(r"(?:^|;)\s*(color|background):(#[0-9a-f]+)", rules):
            found.update({(selector.strip(), name): colour for selector in selectors.split(",")})
    return found


class TestContrast:
    def test_the_measure_is_that_of_the_standard(self) -> None:
        assert contrast("#fff", "#000000") == pytest.approx(21)
        assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_text_stands_out_from_what_is_behind_it(self, scheme: str, page: Reply) -> None:
        light, _, dark = outline(page).style.partition("@media(prefers-color-scheme:dark){")
        told = colours(light) | (colours(dark) if scheme == "dark" else {})
        texts = {place: colour for place, colour in told.items() if place[1] == "color"}
        grounds = {colour for place, colour in told.items() if place[1] == "background"}
        assert len(texts) >= 3
        assert len(grounds) >= 2
        weak = [(text, ground) for text in texts.values() for ground in grounds if contrast(text, ground) < 4.5]
        assert weak == []


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    program = found()
    if program is None:
        pytest.skip("Chromium is not installed")
    if reason := AXE.absence():
        pytest.skip(reason)
    with open_page(program, tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
@pytest.mark.parametrize("path", PAGES)
def test_a_browser_finds_nothing_wrong(path: str, width: int, scheme: str, browser: Page, gateway: Gateway) -> None:
    """No finding of axe-core, and no scrolling sideways."""
    browser.show(gateway.url + path, width=width, scheme=scheme)
    assert browser.value("document.documentElement.scrollWidth") <= width
    browser.value((AXE.place / "axe.min.js").read_text() + ";0")
    findings = browser.value("axe.run().then(told => told.violations.map(each => [each.impact, each.id, each.help]))")
    assert findings == []
