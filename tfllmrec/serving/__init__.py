"""Embedded model server and its clients.

Names are imported on first use, so that importing one module of this package does not import the client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfllmrec.serving.launch import ServerProcess
    from tfllmrec_client.async_client import AsyncClient
    from tfllmrec_client.client import Client
    from tfllmrec_client.results import ScoredItem
    from tfllmrec_client.status import RequestError

__all__ = ["AsyncClient", "Client", "RequestError", "ScoredItem", "ServerProcess"]

_MODULES = {
    "AsyncClient": "tfllmrec_client.async_client",
    "Client": "tfllmrec_client.client",
    "RequestError": "tfllmrec_client.status",
    "ScoredItem": "tfllmrec_client.results",
    "ServerProcess": "tfllmrec.serving.launch",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
