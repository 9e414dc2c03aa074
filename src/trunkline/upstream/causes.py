"""Why an exchange did not come about: the errors of the HTTP library and of the machine → faults, in one table.

A client is told what happened and never where: `message`. Who runs the gateway can mend it only when it knows the host
and the cause: `detail`, which the log and the commands show.
"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from trunkline.stream.unpacking import NotUnpacked
from trunkline.wire import Fault, FaultKind


def translate_error(error: BaseException) -> Fault:
    """What went wrong, in our words: the library's text may hold addresses and is not passed on."""
    kind, message = next((kind, message) for types, kind, message in _TRANSLATIONS if isinstance(error, types))
    return Fault(kind, message, detail=_detail(error))


_TRANSLATIONS: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], FaultKind, str], ...] = (
    (aiohttp.ConnectionTimeoutError, "silent", "no connection in time"),
    (asyncio.TimeoutError, "silent", "no byte in time"),
    ((aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError, ssl.SSLError), "unavailable", "TLS failed"),
    (aiohttp.ClientConnectorError, "unavailable", "no connection"),
    (aiohttp.ServerDisconnectedError, "unavailable", "the connection was closed before an answer came"),
    (aiohttp.ClientPayloadError, "nonsense", "the answer was cut off"),
    (aiohttp.InvalidURL, "nonsense", "the provider's address is not a URL"),
    (HttpProcessingError, "nonsense", "the answer is not HTTP"),
    (aiohttp.ClientError, "unavailable", "the connection broke"),
    (NotUnpacked, "nonsense", "the compressed answer cannot be unpacked"),
    (ValueError, "nonsense", "the provider's address or a header is not valid"),
    (OSError, "unavailable", "the connection broke"),
)


FOREIGN_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.TimeoutError, ValueError)
"""All that may come out of an exchange and has its row above; `NotUnpacked` comes from unpacking alone."""


def _detail(error: BaseException) -> str | None:
    """Say why there was no connection, and to whom: the name, the machine, or the trust in it."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return str(error) or None
        case aiohttp.ClientConnectorDNSError():
            return f"cannot resolve {error.host}: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorCertificateError():
            return f"TLS with {error.host}:{error.port} failed: {_distrust(error.certificate_error)}"
        case aiohttp.ClientConnectorSSLError():
            return f"TLS with {error.host}:{error.port} failed: {_reason(error.os_error)}"
        case aiohttp.ClientConnectorError():
            return f"cannot connect to {error.host}:{error.port}: {_reason(error.os_error)}"
        case _:
            return None


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, ConnectionResetError):
        return "it closed the connection"
    return error.strerror or str(error) or type(error).__name__


def _distrust(error: Exception) -> str:
    told = getattr(error, "verify_message", "") or str(error) or type(error).__name__
    return f"its certificate is not trusted: {told}"
