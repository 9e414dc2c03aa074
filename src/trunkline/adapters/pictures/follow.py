"""Addresses that a provider sends us on to: may our key go there, and if not, how the address is asked.

A provider that was broken into, or a body that somebody else could write, must not be able to collect the key or to
reach into the operator's network. It decides only; who asks is in `upstream/`.
"""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from trunkline.adapters.contract import Exchange
from trunkline.catalog.entries import Endpoint
from trunkline.wire import UpstreamRequest


def is_own(url: str, endpoint: Endpoint) -> bool:
    """Whether an address is the provider's own: at its base URL's host and port, or at a host that its row names."""
    found, base = _split(url), _split(endpoint.base_url)
    if found is None or base is None or found.scheme != base.scheme or found.username or found.password:
        return False
    if found.netloc.lower() == base.netloc.lower():
        return True
    host = (found.hostname or "").lower()
    is_named = any(host == name or (name[:1] == "." and host.endswith(name)) for name in endpoint.quirks.follow_hosts)
    return is_named and found.port is None


def downloading(url: str, endpoint: Endpoint) -> Exchange:
    """Ask for a result without the key: at the provider's own hosts directly, anywhere else with all care."""
    request = UpstreamRequest("GET", url, {"accept": "*/*"}, b"")
    return Exchange(request, reach="own_host" if is_own(url, endpoint) else "anywhere")


def _split(url: str) -> SplitResult | None:
    try:
        found = urlsplit(url) if url.isascii() and url.isprintable() and " " not in url and "\\" not in url else None
        return found if found is not None and (found.port is None or found.port) else None
    except ValueError:
        return None
