"""A client for models of tfllmrec on TF Serving: string ids in, items with titles out, and no TensorFlow.

Names load on first use: whoever wants the errors alone waits for no gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfllmrec_client.async_client import AsyncClient
    from tfllmrec_client.calls import RecommendedItem
    from tfllmrec_client.client import Client
    from tfllmrec_client.errors import InputError
    from tfllmrec_client.status import RequestError

__all__ = ["AsyncClient", "Client", "InputError", "RecommendedItem", "RequestError"]

_HOME = {
    "AsyncClient": "async_client",
    "Client": "client",
    "InputError": "errors",
    "RecommendedItem": "calls",
    "RequestError": "status",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'tfllmrec_client' has no attribute {name!r}")
    return getattr(import_module(f"tfllmrec_client.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
