"""The zoo: one family a file, all with the same calls."""

from pathlib import Path

from tfllmrec.errors import InputError
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.bert_ranker.model import BertRanker
from tfllmrec.models.cascade.model import Cascade
from tfllmrec.models.cross_encoder.model import CrossEncoder
from tfllmrec.models.baselines.ease import Ease
from tfllmrec.models.baselines.markov_chain import MarkovChain
from tfllmrec.models.multi_task.model import MultiTask
from tfllmrec.models.next_item.model import NextItem
from tfllmrec.models.baselines.popularity import Popularity
from tfllmrec.models.base.saving import read_description
from tfllmrec.models.two_tower.model import TwoTower
from tfllmrec.models.baselines.word2vec import Word2Vec

FAMILIES: dict[str, type[Recommender]] = {
    family.family: family
    for family in (
        Popularity,
        MarkovChain,
        Ease,
        Word2Vec,
        TwoTower,
        NextItem,
        MultiTask,
        BertRanker,
        CrossEncoder,
        Cascade,
    )
}
"""Every family by its name."""


def family(name: str) -> type[Recommender]:
    """The class of a family.

    Raises:
        InputError: there is no family of that name.
    """
    if name not in FAMILIES:
        raise InputError(f"there is no family {name!r}; there are {', '.join(FAMILIES)}")
    return FAMILIES[name]


def load(folder: str | Path) -> Recommender:
    """A saved recommender of any family.

    Raises:
        InputError: the folder holds none.
    """
    name, _ = read_description(Path(folder))
    return family(name).load(folder)


__all__ = [
    "FAMILIES",
    "BertRanker",
    "Cascade",
    "CrossEncoder",
    "Ease",
    "MarkovChain",
    "MultiTask",
    "NextItem",
    "Popularity",
    "Recommender",
    "TwoTower",
    "Word2Vec",
    "family",
    "load",
]
