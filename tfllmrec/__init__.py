"""A Keras 3 model zoo for recommendation: trained with plain `fit`, linked through TFRS, served by TF Serving.

Names load on first use, so that `import tfllmrec` costs nothing until TensorFlow is needed.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfllmrec.data import Dataset, checkerboard, leave_one_out, load, load_demo, load_movielens
    from tfllmrec.errors import InputError
    from tfllmrec.models.registry import (
        BertRanker,
        Cascade,
        CrossEncoder,
        Ease,
        MarkovChain,
        MultiTask,
        NextItem,
        Popularity,
        Recommender,
        TwoTower,
        Word2Vec,
    )

__version__ = "0.1.0"

__all__ = [
    "BertRanker",
    "Cascade",
    "CrossEncoder",
    "Dataset",
    "Ease",
    "InputError",
    "MarkovChain",
    "MultiTask",
    "NextItem",
    "Popularity",
    "Recommender",
    "TwoTower",
    "Word2Vec",
    "checkerboard",
    "leave_one_out",
    "load",
    "load_demo",
    "load_movielens",
]

_HOME = {
    "tfllmrec.data": {"Dataset", "checkerboard", "leave_one_out", "load", "load_demo", "load_movielens"},
    "tfllmrec.errors": {"InputError"},
}
_FAMILIES = "tfllmrec.models.registry"  # the home of all others


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tfllmrec' has no attribute {name!r}")
    home = next((module for module, names in _HOME.items() if name in names), _FAMILIES)
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
