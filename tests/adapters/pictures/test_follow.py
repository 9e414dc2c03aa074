"""Where the key may follow a provider's word, and where nothing may but a guarded download."""

from __future__ import annotations

import pytest

from trunkline.adapters.pictures.follow import downloading, is_own
from trunkline.catalog.entries import Endpoint, Model, Provider
from trunkline.catalog.quirks import Quirks

ENDPOINT = Endpoint(
    model=Model(slug="acme/quill"),
    provider=Provider(slug="acme", name="Acme"),
    upstream_model="quill",
    dialect="bfl",
    base_url="https://api.acme.example/v1",
    quirks=Quirks(follow_hosts=frozenset({".acme.example", "results.example"})),
)


@pytest.mark.parametrize(
    ("url", "is_theirs"),
    [
        ("https://api.acme.example/v1/get?id=1", True),
        ("https://API.acme.example/elsewhere", True),
        ("https://api.us1.acme.example/v1", True),
        ("https://results.example/x", True),
        ("http://api.acme.example/v1", False),
        ("https://api.acme.example:444/v1", False),
        ("https://us1.acme.example:8443/", False),
        ("https://acme.example/", False),
        ("https://evilacme.example/", False),
        ("https://acme.example.evil.example/", False),
        ("https://x.results.example/", False),
        ("https://api.acme.example@evil.example/", False),
        ("https://user:pw@api.acme.example/", False),
        ("https://evil.example\\@api.acme.example/", False),
        ("https://evil.example/#https://api.acme.example/", False),
        ("//api.acme.example/", False),
        ("file:///etc/passwd", False),
        ("https://[::1", False),
        ("https://api.acme.example:x/", False),
        ("https://api.acme.example/\r\nx: y", False),
        ("", False),
    ],
)
def test_only_the_providers_own_hosts_are_its_own(url: str, is_theirs: bool) -> None:
    assert is_own(url, ENDPOINT) is is_theirs
    assert downloading(url, ENDPOINT).reach == ("own_host" if is_theirs else "anywhere")


def test_without_named_hosts_only_the_base_url_counts() -> None:
    plain = Endpoint(
        model=ENDPOINT.model,
        provider=ENDPOINT.provider,
        upstream_model="quill",
        dialect="bfl",
        base_url="http://127.0.0.1:8080/v1",
    )
    assert is_own("http://127.0.0.1:8080/result", plain)
    assert not is_own("http://127.0.0.1:8081/result", plain)
    assert not is_own("http://127.0.0.1/result", plain)
