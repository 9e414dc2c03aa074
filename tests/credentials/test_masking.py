"""No secret of a provider is left in what it says, by value: whole, in parts, encoded."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.credentials.masking import PART_LENGTH, Mask, address_secrets
from trunkline.wire import Fault

KEY = "sk-CANARYproviderkeyCANARY0123456789abcdef"


def forms(secret: str) -> list[str]:
    data = secret.encode()
    return [
        secret,
        quote(secret, safe=""),
        data.hex(),
        data.hex().upper(),
        *(base64.b64encode(b"u" * before + data).decode() for before in range(3)),
        base64.urlsafe_b64encode(data).decode(),
    ]


def own_parts(form: str, touched: int = 0) -> set[str]:
    inner = form[touched : len(form) - touched].rstrip("=")
    return {inner[start : start + PART_LENGTH] for start in range(len(inner) - PART_LENGTH + 1)}


SECRETS = st.text(st.characters(codec="ascii", min_codepoint=33), min_size=16, max_size=64)


@given(SECRETS, st.text(max_size=30), st.text(max_size=30), st.data())
def test_SE_01_no_part_of_a_secret_is_left_in_any_form(
    secret: str, before: str, after: str, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from(forms(secret)))
    start = data.draw(st.integers(0, len(form) - PART_LENGTH))
    stop = data.draw(st.integers(start + PART_LENGTH, len(form)))
    for said in (before + form + after, before + form[start:stop] + after, before + form + after + secret):
        left = Mask([secret]).text(said)
        assert not any(part in left for part in own_parts(secret))
        assert not any(part in left for part in own_parts(secret.encode().hex()))
        for each in range(3):
            # What stands beside the secret has a share in the outermost letters.
            encoded = base64.b64encode(b"u" * each + secret.encode()).decode()
            assert not any(part in left for part in own_parts(encoded, 4))


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"bad key {KEY}!", "bad key ***!"),
        (f"bad key {KEY[3:]}", "bad key ***"),
        (f"it ends in {KEY[-12:]}", "it ends in ***"),
        (f"it ends in {KEY[-11:]}", f"it ends in {KEY[-11:]}"),
        (f"{KEY} and {KEY}", "*** and ***"),
        ("nothing of it", "nothing of it"),
        ("", ""),
    ],
)
def test_what_is_left(said: str, left: str) -> None:
    fault = Mask([KEY, "", "short"]).fault(Fault("credentials", said, 401, 2.0, said))
    assert (fault.message, fault.raw, fault.status, fault.retry_after) == (left, left or None, 401, 2.0)


def test_a_mask_makes_up_no_new_part() -> None:
    secret = "abcdef***ghijkl-0123456789"
    left = Mask([secret]).text(f"abcdef{secret[-12:]}ghijkl")
    assert "abcdef***ghijkl" not in left


def test_secrets_of_an_address() -> None:
    assert set(address_secrets("http://u:p%2Fw@h/v1?key=abc&x=1")) == {"p%2Fw", "p/w", "abc", "1"}
    assert set(address_secrets("http://h/v1")) == {""}
    assert not set(address_secrets("http://[h"))
