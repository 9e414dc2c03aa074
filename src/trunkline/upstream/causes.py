"""Why an exchange with a provider failed: every fault of the wire, as what a client is told and what the log says.

A client is told what happened and never where: `message`. Who runs the gateway can mend it only when it knows the host
and the cause: `detail`, which the log and the commands show. The texts of libraries may hold addresses, so they are
passed on in details alone.
"""

from __future__ import annotations

import ssl
from typing import Final

from trunkline.wire import Fault

CLOSED: Final = Fault("unavailable", "the connection was closed before an answer came")
BROKE: Final = Fault("unavailable", "the connection broke")
CUT_OFF: Final = Fault("nonsense", "the answer was cut off")
NOT_HTTP: Final = Fault("nonsense", "the answer is not HTTP")
NOT_UNPACKED: Final = Fault("nonsense", "the compressed answer cannot be unpacked")
NOT_SENT: Final = Fault("nonsense", "the provider's address or a header is not valid")
NO_BYTE: Final = Fault("silent", "no byte in time")
PINGS_ALONE: Final = Fault("silent", "only pings, no output")
OVERDUE: Final = Fault("silent", "the deadline passed before the answer ended")
NO_CONNECTION_IN_TIME: Final = Fault("silent", "no connection in time")
NO_CONNECTION: Final = Fault("unavailable", "no connection")
NO_TLS: Final = Fault("unavailable", "TLS failed")


def unknown_packing(encoding: str) -> Fault:
    return Fault("nonsense", f"the answer is packed as {encoding[:40]!r}, which nobody asked for")


def late(server: str, limit_s: float) -> Fault:
    """Nothing connected us to a server, which is written as host:port, within a limit."""
    return _detailed(NO_CONNECTION_IN_TIME, f"no connection to {server} within {limit_s:g} s")


def unresolved(host: str, error: OSError) -> Fault:
    """A name could not be looked up."""
    return _detailed(NO_CONNECTION, f"cannot resolve {host}: {_reason(error)}")


def unreachable(server: str, error: OSError) -> Fault:
    """No address of a server took a connection, or it hung up before TLS was agreed on."""
    return _detailed(NO_CONNECTION, f"cannot connect to {server}: {_reason(error)}")


def unsecured(server: str, error: ssl.SSLError) -> Fault:
    """TLS could not be agreed on, or its certificate is not to be trusted."""
    is_distrust = isinstance(error, ssl.SSLCertVerificationError)
    return _detailed(NO_TLS, f"TLS with {server} failed: {_distrust(error) if is_distrust else _reason(error)}")


def _detailed(fault: Fault, detail: str) -> Fault:
    return Fault(fault.kind, fault.message, detail=detail)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    if isinstance(error, ConnectionResetError):
        return "it closed the connection"
    return error.strerror or str(error) or type(error).__name__


def _distrust(error: Exception) -> str:
    told = getattr(error, "verify_message", "") or str(error) or type(error).__name__
    return f"its certificate is not trusted: {told}"
