"""A Keras 3 model zoo for recommendation: trained with plain `fit`, linked through TFRS, served by TF Serving.

Names are imported on first use, so `import tfllmrec` does not import TensorFlow.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tfllmrec.keras_state import require_tensorflow_backend
from tfllmrec.models.registry import class_modules
from tfllmrec_client.version import __version__

if TYPE_CHECKING:  # for editors and type checkers; at run time the registry decides which families exist
    from tfllmrec.data import Dataset, checkerboard, leave_one_out, load_dataset, load_demo, load_movielens
    from tfllmrec.errors import InputError
    from tfllmrec.models.base.recommender import Recommender
    from tfllmrec.models.baselines.ease import Ease as Ease
    from tfllmrec.models.baselines.markov_chain import MarkovChain as MarkovChain
    from tfllmrec.models.baselines.popularity import Popularity as Popularity
    from tfllmrec.models.baselines.word2vec import Word2Vec as Word2Vec
    from tfllmrec.models.bert_ranker.model import BertRanker as BertRanker
    from tfllmrec.models.cascade.model import Cascade as Cascade
    from tfllmrec.models.cross_encoder.model import CrossEncoder as CrossEncoder
    from tfllmrec.models.multi_task.model import MultiTask as MultiTask
    from tfllmrec.models.next_item.model import NextItem as NextItem
    from tfllmrec.models.registry import load_model
    from tfllmrec.models.two_tower.model import TwoTower as TwoTower

__all__ = [
    "Dataset",
    "InputError",
    "Recommender",
    "__version__",
    "checkerboard",
    "leave_one_out",
    "load_dataset",
    "load_demo",
    "load_model",
    "load_movielens",
]
__all__ += class_modules()

_MODULES = {
    **dict.fromkeys(
        ("Dataset", "checkerboard", "leave_one_out", "load_dataset", "load_demo", "load_movielens"), "tfllmrec.data"
    ),
    "InputError": "tfllmrec.errors",
    "Recommender": "tfllmrec.models.base.recommender",
    "load_model": "tfllmrec.models.registry",
}


def __getattr__(name: str) -> Any:
    modules = _MODULES | class_modules()
    if name not in modules:
        raise AttributeError(f"module 'tfllmrec' has no attribute {name!r}")
    if modules[name].startswith("tfllmrec.models"):
        require_tensorflow_backend()
    return getattr(import_module(modules[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES, *class_modules()])
