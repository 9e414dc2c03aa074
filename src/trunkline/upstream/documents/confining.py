"""What a child has taken from it before it sees the first byte of a document: memory, time, files, network, rank.

What a system does not know is left out, and no step needs a privilege. What holds everywhere are the limits.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_DUMPABLE: Final = 4
_PR_SET_NO_NEW_PRIVS: Final = 38
_CLONE_NEWNET: Final = 0x40000000
_CLONE_NEWUSER: Final = 0x10000000
_NOBODY: Final = 65_534
_CAPABILITY_VERSION: Final = 0x20080522

_LANDLOCK_CREATE: Final = 444  # the same on every architecture that Python runs on
_LANDLOCK_RESTRICT: Final = 446
_LANDLOCK_WITH_SCOPES: Final = 6
_ALL_OF_FILES: Final = 0xFFFF
_ALL_OF_NETWORKS: Final = 3
_SIGNALS_AND_SOCKETS: Final = 3


def confine(memory_bytes: int, cpu_s: int) -> None:
    """Take away what reading a document does not need, for good."""
    leave_network()
    _give_up_rank()
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    _prctl(_PR_SET_DUMPABLE, 0)
    _leave_others_alone()
    # Last, since a change of rank forgets it. The child of a gateway that was killed ends with it.
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    limits = {
        "RLIMIT_CORE": (0, 0),
        "RLIMIT_FSIZE": (0, 0),
        "RLIMIT_NPROC": (0, 0),
        # At the first it is told by a signal of its own, at the second it is killed.
        "RLIMIT_CPU": (cpu_s, cpu_s + 1),
        "RLIMIT_AS": (memory_bytes, memory_bytes),
        # Not 3: who closes one of the three that are open could open another in its place.
        "RLIMIT_NOFILE": (0, 0),
    }
    for name, limit in limits.items():
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(getattr(resource, name), limit)


def leave_network() -> bool:
    """Leave the network of this machine for one without anything in it; says whether the system allows that."""
    try:
        unshare = ctypes.CDLL(None).unshare
    except (OSError, AttributeError):
        return False
    if os.geteuid() == 0 and unshare(_CLONE_NEWNET) == 0:
        return True
    return bool(unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0)


def _give_up_rank() -> None:
    if os.geteuid() == 0:
        # Root has no bound on processes. In a container that knows no other user it stays root, without its rights.
        with contextlib.suppress(OSError):
            os.setgroups([])
            os.setresgid(_NOBODY, _NOBODY, _NOBODY)
            os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    with contextlib.suppress(OSError, AttributeError):
        head = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
        ctypes.CDLL(None).capset(head, (ctypes.c_uint32 * 6)())


def _leave_others_alone() -> None:
    """Have the system refuse signals to other processes, the gateway's of the same user among them, and all files."""
    with contextlib.suppress(OSError, AttributeError):
        system = ctypes.CDLL(None).syscall
        if system(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1) < _LANDLOCK_WITH_SCOPES:
            return
        told = (ctypes.c_uint64 * 3)(_ALL_OF_FILES, _ALL_OF_NETWORKS, _SIGNALS_AND_SOCKETS)
        rules = system(_LANDLOCK_CREATE, told, ctypes.c_size_t(ctypes.sizeof(told)), 0)
        if rules >= 0:
            system(_LANDLOCK_RESTRICT, rules, 0)
            os.close(rules)


def _prctl(option: int, argument: int) -> None:
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(option, ctypes.c_ulong(argument), 0, 0, 0)
