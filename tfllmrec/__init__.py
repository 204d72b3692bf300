"""A Keras 3 model zoo for recommendation: trained with plain `fit`, linked through TFRS, served by TF Serving.

Names are imported on first use, so `import tfllmrec` does not import TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfllmrec.models.registry import class_modules
from tfllmrec_client.version import __version__

if TYPE_CHECKING:
    from tfllmrec.data import Dataset, checkerboard, leave_one_out, load, load_demo, load_movielens
    from tfllmrec.errors import InputError
    from tfllmrec.models.base.recommender import Recommender
    from tfllmrec.models.baselines.ease import Ease
    from tfllmrec.models.baselines.markov_chain import MarkovChain
    from tfllmrec.models.baselines.popularity import Popularity
    from tfllmrec.models.baselines.word2vec import Word2Vec
    from tfllmrec.models.bert_ranker.model import BertRanker
    from tfllmrec.models.cascade.model import Cascade
    from tfllmrec.models.cross_encoder.model import CrossEncoder
    from tfllmrec.models.multi_task.model import MultiTask
    from tfllmrec.models.next_item.model import NextItem
    from tfllmrec.models.registry import load_model
    from tfllmrec.models.two_tower.model import TwoTower

_MODULES = {
    **dict.fromkeys(
        ("Dataset", "checkerboard", "leave_one_out", "load", "load_demo", "load_movielens"), "tfllmrec.data"
    ),
    "InputError": "tfllmrec.errors",
    "Recommender": "tfllmrec.models.base.recommender",
    "load_model": "tfllmrec.models.registry",
}

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
    "load_model",
    "load_movielens",
]


def __getattr__(name: str) -> Any:
    modules = _MODULES | class_modules()
    if name not in modules:
        raise AttributeError(f"module 'tfllmrec' has no attribute {name!r}")
    return getattr(import_module(modules[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *class_modules()])
