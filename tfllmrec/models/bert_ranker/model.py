"""The BERT ranking family: what is written of items, by a KerasNLP BERT, and how it goes with a user's history."""

import copy
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import keras
import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.backbone import SMALL, backbone
from tfllmrec.content.templates import item_texts
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.layers.scoring import ItemIndex
from tfllmrec.models.base.config import STRICT, Fraction, Names, Options, Positive
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.baselines.popularity import popular_if_empty, popularity
from tfllmrec.models.bert_ranker.network import bi_encoder, interaction_head, scores_of_all
from tfllmrec.models.ranker.model import Ranker, RankerConfig
from tfllmrec.models.ranker.text_ranker import BERT, TextRanker
from tfllmrec.models.two_tower.model import TwoTower

_TOWERS, _BERT = "towers", "bert"


@dataclass(frozen=True, config=STRICT)
class BertRankerConfig(RankerConfig):
    """Attributes beside those of every `RankerConfig`.

    backbone: a name for `tfllmrec.content.pretrained.pretrained`, or "small" for a BERT that learns from the items'
        own texts and nothing else.
    columns: of the item table, what is read of an item.
    text_length: tokens of a text that are read.
    towers: options of the two towers that learn the vectors; the others are chosen from the size of the data.
    finetune_epochs: epochs, at most, in which the towers go on with the interactions that were answers of lists.
    pooling_heads: weighted means of the history that a candidate makes for itself.
    hidden_units: units of the perceptron of the interaction head.
    dropout: in it.
    """

    backbone: str = "small"
    columns: Names = ("title", "year", "categories", "text")
    text_length: Positive = 64
    towers: Options = Field(default_factory=dict)
    finetune_epochs: Positive = 10
    pooling_heads: Positive = 2
    hidden_units: Positive = 64
    dropout: Fraction = 0.2

    def of_towers(self) -> dict[str, Any]:
        """The options of the two towers.

        Raises:
            InputError: they are none, or ask for what a ranker's towers do not read.
        """
        given = {"id_dropout": 0.1, **self.towers}
        chosen = TwoTower.config_class.from_options(given)
        if chosen.user_features:
            raise InputError("bert_ranker: its towers do not read users' features; leave user_features out of towers")
        vectors = ",".join([*chosen.vectors, BERT])
        fixed = {"vectors": vectors, "user_vectors": False, "history_length": self.history_length, "seed": self.seed}
        return given | fixed


class BertRanker(Ranker):
    """A bi-encoder: item vectors made once of BERT's vectors of their texts, and a head that relates them to a user.

    Texts are encoded by a frozen BERT, every text once. Two towers (`TwoTower`) learn what texts, titles, categories
    and interactions make of an item and of a history; on their vectors an interaction head with attention from the
    candidate to the history learns to put lists in order, under `tfrs.tasks.Ranking`. Then the towers go on with what
    they were not to know before: the newest interactions say most of what comes next.

    Example:
        >>> model = BertRanker(backbone="all-minilm-l6-v2").fit(split.train, split.validation)
        >>> model.recommend(users=["42"], k=10)

    Attributes:
        towers: what learnt the vectors.
        pretrain_log: what was logged of their first fit, that on the interactions before the lists' answers.
        index: the item vectors.
        query_model: {"user", "history": int32 [B, L]} -> query vectors, float32 [B, D].
        model: the interaction head.
    """

    family = "bert_ranker"
    config_class = BertRankerConfig
    main_signature = "rank"

    towers: TwoTower
    pretrain_log: Mapping[str, list[float]]
    index: ItemIndex
    query_model: keras.Model

    def _prepare(self, train: Dataset, earlier: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        config = self.config
        self.towers = TwoTower(**config.of_towers())
        texts = item_texts(train.items, config.columns)
        self.bert = backbone(config.backbone, texts, length=config.text_length, seed=config.seed)
        earlier = replace(earlier, items=self._with_texts(earlier.items))
        self.towers.fit(earlier, validation, **fitting.of_part(_TOWERS))
        self.pretrain_log = self.towers.training_log

    def _finish(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        if self.config.objective == "rating":
            return  # for which they knew everything
        first = self.towers.config
        self.towers.config = replace(first, epochs=self.config.finetune_epochs)
        self.towers.fit_more(train, validation, FitContext(**fitting.of_part(f"further-{_TOWERS}")))
        self.towers.config = first
        self._assemble()

    def _with_texts(self, items: pd.DataFrame) -> pd.DataFrame:
        """An item table with the vectors of its texts."""
        from tfllmrec.content.text_vectors import text_vectors

        texts = item_texts(items, self.config.columns)
        keep = self.config.backbone != SMALL  # another one in every fit
        vectors = text_vectors(texts, self.bert, length=self.config.text_length, keep=keep)
        return items.assign(**{BERT: list(vectors)})

    def _build(self, train: Dataset) -> keras.Model:
        config = self.config
        return interaction_head(
            dim=self.towers.config.dim,
            history_length=config.history_length,
            pooling_heads=config.pooling_heads,
            hidden_units=config.hidden_units,
            dropout=config.dropout,
            mean_rating=train.mean_rating if config.objective == "rating" else None,
        )

    def _build_scorer(self) -> keras.Model:
        self.towers.model.trainable = False
        self.index, self.query_model = self.towers.index, self.towers.query_model
        encoder = self.towers.model.get_layer("query_encoder")
        self._rank_with(bi_encoder(self.index, encoder, self.model))
        every = scores_of_all(self.index, encoder, self.model)
        popular = popularity(self.fitted_data, every.input)
        return keras.Model(every.input, popular_if_empty(every.output, popular, every.input))

    def text_ranker(self) -> TextRanker:
        """See `Ranker.text_ranker`."""
        model = self.towers.model
        content, encoder = model.get_layer("items").fusion, model.get_layer("query_encoder")
        return TextRanker(self.bert, self.config.text_length, content, encoder, self.model)

    def _update_served(self) -> None:
        """Nothing: the towers' vectors are fixed."""

    def refit_config(self) -> BertRankerConfig:
        """As many epochs as were best on the validation targets, of the head and of the towers, before and after."""
        of_towers = {**self.config.towers, "epochs": self.towers.best_epochs(self.pretrain_log)}
        finetune_epochs = self.towers.best_epochs(self.towers.training_log)
        return replace(
            self.config, epochs=self.best_epochs(self.training_log), towers=of_towers, finetune_epochs=finetune_epochs
        )

    def _with_items(self, new: pd.DataFrame) -> Self:
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        grown.towers = self.towers.with_items(self._with_texts(new))
        grown._assemble()
        return grown

    def _write(self, folder: Path) -> None:
        self.towers.save(folder / _TOWERS)
        shutil.rmtree(folder / _BERT, ignore_errors=True)  # that of a save before
        self.bert.save(folder / _BERT)

    def _read(self, folder: Path) -> None:
        from tfllmrec.content.pretrained import pretrained

        self.towers = TwoTower.load(folder / _TOWERS)
        self.bert = pretrained(folder / _BERT)
