"""The cross-encoder family: one BERT reads history and candidate together; the precise ranker of a short list."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from pydantic import Field
from pydantic.dataclasses import dataclass

from tfllmrec.content.backbone import backbone
from tfllmrec.content.pretrained import Bert
from tfllmrec.content.templates import BETWEEN_ITEMS, item_texts
from tfllmrec.content.tokenizers import read_tokenizer, write_tokenizer
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ranking import RankedTargets
from tfllmrec.models.base.config import STRICT, Names, Positive
from tfllmrec.models.base.saving import reading
from tfllmrec.models.baselines.popularity import popular_if_empty, popularity
from tfllmrec.models.cross_encoder.network import (
    BACKBONE,
    FRAME,
    Special,
    TokenTable,
    cross_encoder,
    in_passes,
    pair_scorer,
    scores_of_all,
)
from tfllmrec.models.ranker.model import Ranker, RankerConfig
from tfllmrec.models.ranker.text_ranker import PairTextRanker

_TOKENIZER = "tokenizer.json"
_PAIRS = 10_000_000  # hours, without a GPU


@dataclass(frozen=True, config=STRICT)
class CrossEncoderConfig(RankerConfig):
    """Attributes beside those of every `RankerConfig`.

    backbone: a name for `tfllmrec.content.pretrained.pretrained`, or "small" for a BERT that learns from the items'
        own texts before.
    columns: of the item table, what is read of a candidate; of the items of a history it is the title.
    text_length: tokens of a candidate that are read.
    title_length: tokens of a title that are read.
    history_tokens: tokens of a history that are read, the newest.
    tuning: what is trained of BERT: all of it ("full"), low-rank additions ("lora"; Hu et al., 2022, ICLR), or nothing.
    lora_rank: of the additions.
    precision: what BERT computes in, in training and when it is asked; bfloat16 is faster on processors that have it.
    """

    backbone: str = "small"
    columns: Names = ("title", "year", "categories", "text")
    text_length: Positive = 32
    title_length: Positive = 12
    history_tokens: Positive = 60
    history_length: Positive = 10
    tuning: Literal["full", "lora", "frozen"] = "full"
    lora_rank: Positive = 4
    precision: Literal["float32", "bfloat16"] = "float32"
    list_size: Positive | None = 8
    max_validation_lists: Positive | None = 1000
    learning_rate: float = Field(default=5e-5, gt=0)
    batch_size: Positive = 8
    epochs: Positive = 3

    @classmethod
    def for_data(cls, data: Dataset, options: Mapping[str, Any]) -> Self:
        """What is trained beside BERT's own weights is little, and begins at nothing: it learns at a higher rate."""
        tuning = str(options.get("tuning"))
        rate = {"learning_rate": _RATES[tuning]} if tuning in _RATES else {}
        return cls.from_options({**rate, **options})


_RATES = {"lora": 2e-3, "frozen": 1e-3}


class CrossEncoder(Ranker):
    """A BERT that reads "history text [SEP] item text" (Nogueira and Cho, 2019), fine-tuned on lists.

    A candidate costs a pass through BERT, so it is for short lists: `score_candidates`, and as the ranker of a
    `Cascade`. `recommend` and `evaluate` ask it for every item of the catalogue, and more than ten million pairs
    at once are refused.

    Example:
        >>> model = CrossEncoder(backbone="all-minilm-l6-v2", tuning="lora").fit(split.train, split.validation)
        >>> cascade = Cascade.of([next_item], model, split.validation)

    Attributes:
        model: {"user", "history", "candidates"} -> scores, with the tokens of all items in it.
    """

    family = "cross_encoder"
    config_class = CrossEncoderConfig
    main_signature = "rank"

    def _prepare(self, train: Dataset, *_: Any) -> None:
        config = self.config
        texts, places = item_texts(train.items, config.columns), config.history_tokens + config.text_length + FRAME
        bert = backbone(config.backbone, texts, length=places, seed=config.seed)
        if places > bert.backbone.max_sequence_length:
            raise InputError(
                f"cross_encoder: this BERT reads {bert.backbone.max_sequence_length} tokens at most, and a pair has "
                f"{places}, history_tokens + text_length + {FRAME}; give fewer of one of them"
            )
        self.bert = bert.computing_in_bfloat16() if config.precision == "bfloat16" else bert
        self._tokenizer = self.bert.tokenizer

    def _build(self, train: Dataset) -> keras.Model:
        config, tokenizer = self.config, self.bert.tokenizer
        match config.tuning:
            case "lora":
                self.bert.backbone.enable_lora(config.lora_rank)
            case "frozen":
                self.bert.backbone.trainable = False
        scorer = pair_scorer(
            self.bert.backbone,
            Special(tokenizer.cls_token_id, tokenizer.sep_token_id),
            history=(config.history_length, config.title_length),
            history_tokens=config.history_tokens,
            length=config.text_length,
            start=train.mean_rating if config.objective == "rating" else 0.0,
        )
        return cross_encoder(scorer, *self._tables(train.items), config.history_length)

    def _tables(self, items: pd.DataFrame) -> tuple[TokenTable, TokenTable]:
        """The tokens of titles, as a history has them, and of whole texts."""
        config = self.config
        titles = [f"{title}{BETWEEN_ITEMS}" for title in items["title"]]
        both = ((titles, config.title_length), (item_texts(items, config.columns), config.text_length))
        titles_, texts_ = (self.bert.token_ids(tf.constant(["", *texts]), length).numpy() for texts, length in both)
        return TokenTable.of(titles_, name="titles"), TokenTable.of(texts_, name="texts")

    def _build_scorer(self) -> keras.Model:
        self.bert = Bert(self.model.get_layer("pair_scorer").get_layer(BACKBONE), self._tokenizer)
        asked = in_passes(self.model)
        self._rank_with(asked)
        every = scores_of_all(asked, len(self.fitted_data.items))
        popular = popularity(self.fitted_data, every.input)
        return keras.Model(every.input, popular_if_empty(every.output, popular, every.input))

    def rank_targets(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> RankedTargets:
        """As every family does.

        Raises:
            InputError: more than ten million pairs of targets and items.
        """
        self.require_fitted()
        users, items = len(targets), len(self.fitted_data.items) if item_subset is None else len(item_subset)
        if users * items > _PAIRS:
            raise InputError(
                f"cross_encoder: {users:,} targets among {items:,} items are {users * items:,} passes through BERT, of "
                f"which it does {_PAIRS:,} at most; ask fewer targets at a time, or make it the ranker of a cascade"
            )
        return super().rank_targets(targets, k, item_subset=item_subset)

    def text_ranker(self) -> PairTextRanker:
        """See `Ranker.text_ranker`."""
        return PairTextRanker(self.bert, self.model.get_layer("pair_scorer"))

    def _with_items(self, new: pd.DataFrame) -> Self:
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        before = (self.model.get_layer(name) for name in ("titles", "texts"))
        titles, texts = (table.with_more(more) for table, more in zip(before, self._tables(new), strict=True))
        grown.model = cross_encoder(self.model.get_layer("pair_scorer"), titles, texts, self.history_length)
        grown._assemble()
        return grown

    def _write(self, folder: Path) -> None:
        """The tokenizer; the backbone is in the model."""
        write_tokenizer(self.bert.tokenizer, folder / _TOKENIZER)

    def _read(self, folder: Path) -> None:
        with reading(folder / _TOKENIZER) as path:
            self._tokenizer = read_tokenizer(path)

    def _update_served(self) -> None:
        """Nothing: what is trained is what is asked."""
