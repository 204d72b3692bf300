"""The registry of model families: one line a family, imported on first use."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from tfllmrec.errors import InputError
from tfllmrec.keras_state import require_tensorflow_backend

if TYPE_CHECKING:
    from tfllmrec.models.base.recommender import Recommender

FAMILIES: dict[str, str] = {
    "popularity": "tfllmrec.models.baselines.popularity:Popularity",
    "markov_chain": "tfllmrec.models.baselines.markov_chain:MarkovChain",
    "ease": "tfllmrec.models.baselines.ease:Ease",
    "word2vec": "tfllmrec.models.baselines.word2vec:Word2Vec",
    "two_tower": "tfllmrec.models.two_tower.model:TwoTower",
    "next_item": "tfllmrec.models.next_item.model:NextItem",
    "multi_task": "tfllmrec.models.multi_task.model:MultiTask",
    "bert_ranker": "tfllmrec.models.bert_ranker.model:BertRanker",
    "cross_encoder": "tfllmrec.models.cross_encoder.model:CrossEncoder",
    "cascade": "tfllmrec.models.cascade.model:Cascade",
}
"""The location of every family's class, `module:Class`, by family name."""


def model_class(name: str) -> "type[Recommender]":
    """Import the class of a family.

    Args:
        name: a family name, such as `"two_tower"`.

    Returns:
        The family's class.

    Raises:
        InputError: If the family is not registered.

    Example:
        >>> model_class("popularity").__name__
        'Popularity'
    """
    if not isinstance(name, str) or name not in FAMILIES:
        raise InputError(f"unknown family {name!r}: choose one of {', '.join(FAMILIES)}")
    require_tensorflow_backend()
    module, _, class_name = FAMILIES[name].partition(":")
    return getattr(import_module(module), class_name)


def class_modules() -> dict[str, str]:
    """Map the class name of every family to its module, without importing it."""
    return {class_name: module for module, _, class_name in (location.partition(":") for location in FAMILIES.values())}


def load_model(folder: str | Path) -> "Recommender":
    """Load a saved recommender of any family.

    Args:
        folder: a folder that `Recommender.save` or `tfllmrec train` wrote.

    Returns:
        The fitted recommender.

    Raises:
        InputError: If the folder does not contain a saved recommender.
    """
    from tfllmrec.arguments import path_of
    from tfllmrec.models.base.saving import read_description

    name, *_ = read_description(path_of("load_model", "folder", folder))
    return model_class(name).load(folder)
