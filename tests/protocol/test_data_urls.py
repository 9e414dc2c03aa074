"""Data URLs and base64: what is taken, and what of a large file is looked at."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.protocol.data_urls import check_base64, check_data_url, split_data_url, strict_base64

LARGE = base64.b64encode(bytes(range(256)) * 4096).decode()


def is_base64(text: str) -> bool:
    try:
        check_base64(text)
    except ValueError:
        return False
    return True


@given(st.binary(min_size=1, max_size=200))
def test_every_usual_spelling_is_base64(data: bytes) -> None:
    strict = base64.b64encode(data).decode()
    assert strict_base64(strict) is strict
    for spelling in (strict.rstrip("="), base64.urlsafe_b64encode(data).decode(), f"{strict[:8]}\r\n{strict[8:]}\n"):
        assert is_base64(spelling)
        assert strict_base64(spelling) == strict


@given(st.text(max_size=40))
def test_what_is_taken_can_be_decoded(text: str) -> None:
    try:
        strict = strict_base64(text)
    except ValueError:
        return
    assert base64.b64decode(strict, validate=True)


@pytest.mark.parametrize("text", ["", "=", "====", "A", "A===", "AB=C", "AAAA====", "!!!!", "AA,A", "Æ", "%%%", " "])
def test_what_is_none(text: str) -> None:
    assert not is_base64(text)


@pytest.mark.parametrize("spelling", [LARGE, LARGE.rstrip("="), LARGE + "\n", "\r\n".join([LARGE[:76], LARGE[76:]])])
def test_a_large_file_is_taken_in_every_spelling_too(spelling: str) -> None:
    check_data_url(f"data:image/png;base64,{spelling}", may_be_text=False)


@pytest.mark.parametrize(
    "spoilt", ["!" + LARGE, LARGE[:-9] + "!" + LARGE[-9:], LARGE[:500_001] + "," + LARGE[500_001:]]
)
def test_a_large_file_is_refused_for_its_ends_and_for_commas_anywhere(spoilt: str) -> None:
    assert not is_base64(spoilt)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("data:image/png;base64,AAAA", ("image/png", True)),
        ("DATA:Image/PNG;name=My File.png;BASE64,AAAA", ("image/png", True)),
        ('data:text/plain;charset="utf-8",a', ("text/plain", False)),
        ("data:;base64,AAAA", ("", True)),
        ("data:,a", ("", False)),
        ("data:image/*;base64,AAAA", ("image/*", True)),
    ],
)
def test_heads(url: str, told: tuple[str, bool]) -> None:
    found = split_data_url(url)
    assert (found.media_type, found.is_base64) == told
    assert url[found.start - 1] == ","


@pytest.mark.parametrize(
    "url", ["data:", "data:image/png", "data:a b;base64,AAAA", "data:" + "a" * 300 + "/b;base64,AAAA"]
)
def test_odd_heads(url: str) -> None:
    with pytest.raises(ValueError, match="data URL"):
        split_data_url(url)
