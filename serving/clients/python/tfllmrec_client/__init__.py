"""Client for models of tfllmrec on TF Serving: string ids in, items with titles out, without TensorFlow.

Names are imported on first use, so that importing the errors alone does not import gRPC.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfllmrec_client.async_client import AsyncClient
    from tfllmrec_client.client import Client
    from tfllmrec_client.errors import InputError
    from tfllmrec_client.results import (
        CandidateScores,
        ItemEmbeddings,
        QueryEmbeddings,
        ScoredItem,
        ScoredItems,
        ScoredLabel,
        ScoredLabels,
    )
    from tfllmrec_client.status import RequestError

__all__ = [
    "AsyncClient",
    "CandidateScores",
    "Client",
    "InputError",
    "ItemEmbeddings",
    "QueryEmbeddings",
    "RequestError",
    "ScoredItem",
    "ScoredItems",
    "ScoredLabel",
    "ScoredLabels",
]

_MODULES = {"AsyncClient": "async_client", "Client": "client", "InputError": "errors", "RequestError": "status"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tfllmrec_client' has no attribute {name!r}")
    return getattr(import_module(f"tfllmrec_client.{_MODULES.get(name, 'results')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
