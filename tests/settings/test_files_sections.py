"""What an operator writes of files and OCR engines → settings, or a line for each mistake."""

from __future__ import annotations

from decimal import Decimal

import pytest

from trunkline.settings.reading import SettingsError, build_settings, read_sources
from trunkline.settings.sections import Settings

ENGINE = '[ocr.{name}]\nkind = "mistral"\napi_key = {{ env = "KEY" }}\n'


def read(text: str) -> Settings:
    return build_settings(read_sources(file_text=text, file_name="t.toml"))


def test_what_an_operator_writes_is_read() -> None:
    settings = read(
        ENGINE.format(name="mistral")
        + """
        price = "0.002"
        [ocr.ours]
        kind = "mistral"
        base_url = "http://10.0.0.7:8888/v1/"
        model = "mine"
        timeout = "3 s"
        [plugins]
        defaults = ["file-parser"]
        [plugins.file_parser]
        ocr = "ours"
        max_file = "1 MB"
        cache = "0"
        """
    )
    assert (settings.ocr["mistral"].price, settings.ocr["mistral"].model) == (Decimal("0.002"), "mistral-ocr-latest")
    assert (settings.ocr["ours"].base_url, settings.ocr["ours"].timeout) == ("http://10.0.0.7:8888/v1", 3)
    parser = settings.plugins.file_parser
    assert (parser.ocr, parser.max_file, parser.cache, parser.max_pages) == ("ours", 10**6, 0, 1_000)
    assert (parser.max_text, parser.memory, parser.cpu) == (8 * 10**6, 300 * 10**6, 10)
    assert (parser.children, parser.queue) == (2, 50)


MISTAKES = {
    "an engine without a key or an address": (
        '[ocr.a]\nkind = "mistral"',
        't.toml:1: ocr.a: it needs api_key, as { env = "MISTRAL_API_KEY" }',
    ),
    "an address with the path of the engine": (
        '[ocr.a]\nkind = "mistral"\nbase_url = "https://x.example/v1/ocr"',
        "t.toml:3: ocr.a.base_url: leave out /ocr: the gateway adds the path of the engine",
    ),
    "no address": (
        '[ocr.a]\nkind = "mistral"\nbase_url = "x.example"',
        "t.toml:3: ocr.a.base_url: write the whole address, as https://api.mistral.ai/v1, without user, password or "
        "parameters",
    ),
    "a name of other characters": (
        ENGINE.format(name="Mistral"),
        "t.toml:1: ocr.Mistral: the name of an engine has lower-case letters, digits, hyphens and underscores only",
    ),
    "several engines and none chosen": (
        ENGINE.format(name="a") + ENGINE.format(name="b"),
        "plugins.file_parser.ocr: there are several engines; set it to one of a, b",
    ),
    "an engine that is not there": (
        '[plugins.file_parser]\nocr = "a"',
        "t.toml:2: plugins.file_parser.ocr: there is no [ocr.a]; add one",
    ),
    "no pages": (
        "[plugins.file_parser]\nmax_pages = 0",
        "t.toml:2: plugins.file_parser.max_pages: input should be greater than or equal to 1",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_one_line_that_says_what_to_do(case: str) -> None:
    text, problem = MISTAKES[case]
    with pytest.raises(SettingsError) as raised:
        read(text)
    assert raised.value.problems == (problem,)
