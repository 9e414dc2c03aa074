"""What an endpoint keeps of what follows from it alone."""

from __future__ import annotations

from msgspec.structs import replace

from tests.routing.catalogs import endpoint
from trunkline.catalog.entries import Endpoint, per_endpoint


def test_what_follows_from_an_endpoint_is_worked_out_once_for_each() -> None:
    asked: list[str] = []

    @per_endpoint
    def shout(end: Endpoint) -> str:
        asked.append(end.upstream_model)
        return end.upstream_model.upper()

    one = replace(endpoint(), upstream_model="m")
    other = replace(one, upstream_model="n")
    assert [shout(one), shout(one), shout(other), shout(replace(one, region="eu"))] == ["M", "M", "N", "M"]
    assert asked == ["m", "n", "m"]


def test_what_is_kept_makes_no_other_endpoint_of_it() -> None:
    one, same = endpoint(tag="t"), endpoint(tag="t")
    assert one.id.startswith("t:")
    assert (one, hash(one.model)) == (same, hash(same.model))
    assert replace(one, tag="u").id.startswith("u:")
