"""What we use of uvicorn, loaded without its command line.

Theory of operation. Whoever imports a part of uvicorn has its `__init__` load the program `uvicorn`, with click,
multiprocessing and what watches files: 1.6 MB that stay. So the package is put there empty before its parts are
imported, and filled when somebody asks for a name of its own.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec


def _put_empty(name: str) -> None:
    """Have a package there of which nothing ran yet; it is filled as soon as a name is missed in it."""
    spec = find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    package, fill = module_from_spec(spec), spec.loader.exec_module

    def load_whole(missed: str) -> object:
        if missed.startswith("__") and missed != "__version__":  # what looks at any module, and wants nothing of it
            raise AttributeError(missed)
        del vars(package)["__getattr__"]
        fill(package)
        return getattr(package, missed)

    vars(package)["__getattr__"] = load_whole
    sys.modules[name] = package


if "uvicorn" not in sys.modules:  # where uvicorn runs the application itself, it is there
    _put_empty("uvicorn")

from uvicorn.config import Config as Config  # noqa: E402
from uvicorn.protocols.http.flow_control import FlowControl as FlowControl  # noqa: E402
from uvicorn.protocols.http.httptools_impl import STATUS_LINE as STATUS_LINE  # noqa: E402
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol as HttpToolsProtocol  # noqa: E402
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle as RequestResponseCycle  # noqa: E402
from uvicorn.server import Server as Server  # noqa: E402

# One of the parts asks the package for it.
vars(sys.modules["uvicorn"])["Config"] = Config
