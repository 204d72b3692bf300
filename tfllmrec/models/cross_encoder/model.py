"""The cross-encoder family: one BERT reads history and candidate together, for precise ranking of short lists."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.content.bert import Bert, read_tokenizer, write_tokenizer
from tfllmrec.content.bert_loading import bert_from_name
from tfllmrec.content.item_texts import ITEM_SEPARATOR, items_to_texts
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets, leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.fallback import popular_candidates_if_empty, popular_if_empty, popularity_scores
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.saving import reading
from tfllmrec.models.base.signature import Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec.models.cross_encoder.config import CrossEncoderConfig
from tfllmrec.models.cross_encoder.network import (
    FRAME,
    CrossEncoderNetwork,
    Special,
    TokenTable,
    pair_scorer,
    scores_of_all,
)
from tfllmrec.models.ranker.candidates import Retrieve, TrainingLists, predicted_ratings, single_retriever
from tfllmrec.models.ranker.passes import in_passes
from tfllmrec.models.ranker.text_ranker import PairTextRanker, rank_texts_signature, score_texts, text_function
from tfllmrec.models.ranker.training import ranker_trainer, train_ranker

_TOKENIZER = "tokenizer.json"
_MAX_PAIRS = 10_000_000  # hours without a GPU


@dataclass(frozen=True, kw_only=True)
class CrossEncoderModels(BuiltModels):
    """The models of a `CrossEncoder`.

    Attributes:
        network: the trained network and its layers.
        bert: the backbone in the network, and its tokenizer.
        text_ranker: scores raw texts.
    """

    network: CrossEncoderNetwork
    bert: Bert
    text_ranker: PairTextRanker


class CrossEncoder(Recommender):
    """A BERT that reads "history text [SEP] item text" (Nogueira and Cho, 2019), fine-tuned on lists.

    Every candidate costs a pass through BERT, so it is for short lists: `rank`, and as the ranker of a `Cascade`.
    `recommend` and `evaluate` score every item of the catalog, and refuse more than ten million pairs in one call.

    Args:
        backbone: a name for `tfllmrec.content.bert_loading.pretrained_bert`, or "small" for a BERT trained on the item
            texts.
        columns: text columns of a candidate; a history is read by its titles.
        text_length: tokens of a candidate that are read.
        title_length: tokens of a title that are read.
        history_tokens: most recent tokens of a history that are read.
        tuning: trained part of BERT: all, low-rank additions (Hu et al., 2022, ICLR), or none.
        lora_rank: rank of the additions.
        precision: precision that BERT computes in, in training and inference.
        retriever: the family that finds the candidates to learn from, with its default options.
        candidates: candidates that it finds for a user.
        list_size: candidates of a list in training, the target and others sampled in every epoch; 0 for all.
        max_train_lists: lists with their target that are trained on, a seeded sample; 0 for all.
        max_validation_lists: validation lists that decide when to stop, a seeded sample; 0 for all.
        objective: loss of the lists; "rating" learns ratings of interactions instead.
        learning_rate: learning rate of AdamW.
        warmup: epochs in which the learning rate rises from 0.
        schedule: learning rate after the warm-up; "cosine" falls to 0 at the last epoch.
        weight_decay: weight decay of AdamW.
        ema: momentum of the moving average of the weights that is evaluated and kept.
        batch_size: examples a step.
        epochs: maximum number of epochs.
        patience: epochs without a better validation metric before training stops.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> model = CrossEncoder(backbone="all-minilm-l6-v2", tuning="lora").fit(split.train, split.validation)
        >>> model.rank([["1", "260"]], histories=[["2", "589"]])
    """

    family = "cross_encoder"
    config_class = CrossEncoderConfig
    main_signature = "rank"
    ranks_candidates = True
    built: CrossEncoderModels

    def __init__(
        self,
        *,
        backbone: str | None = None,
        columns: str | Sequence[str] | None = None,
        text_length: int | None = None,
        title_length: int | None = None,
        history_tokens: int | None = None,
        tuning: Literal["full", "lora", "frozen"] | None = None,
        lora_rank: int | None = None,
        precision: Literal["float32", "bfloat16"] | None = None,
        retriever: str | None = None,
        candidates: int | None = None,
        list_size: int | None = None,
        max_train_lists: int | None = None,
        max_validation_lists: int | None = None,
        objective: Literal["listwise", "pointwise", "rating"] | None = None,
        learning_rate: float | None = None,
        warmup: int | None = None,
        schedule: Literal["constant", "cosine"] | None = None,
        weight_decay: float | None = None,
        ema: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: CrossEncoderConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[CrossEncoderModels, TrainingLog]:
        config, rating = self.config, self.config.objective == "rating"
        bert, lists = self._backbone(train), None
        if not rating:
            earlier, last = leave_last_out(train)
            retrieve: Retrieve = context.retrieve or single_retriever(config)
            lists = TrainingLists.retrieve(
                retrieve, config, train=train, earlier=earlier, last=last, validation=validation
            )
        network = self._network(train, bert)
        built = self._serve(network, bert.tokenizer)
        log = train_ranker(Predictor(self.family, self.fitted_data, built), config, train, lists, validation, context)
        return built, log

    def _backbone(self, train: Dataset) -> Bert:
        """Load or train BERT.

        Raises:
            InputError: If it reads fewer tokens than a pair has.
        """
        config = self.config
        texts, length = items_to_texts(train.items, config.columns), config.history_tokens + config.text_length + FRAME
        bert = bert_from_name(config.backbone, texts, length=length, seed=config.seed)
        if length > bert.backbone.max_sequence_length:
            raise InputError(
                f"cross_encoder: this BERT reads at most {bert.backbone.max_sequence_length} tokens, and a pair has "
                f"{length}, history_tokens + text_length + {FRAME}; lower one of them"
            )
        return bert.with_bfloat16_compute() if config.precision == "bfloat16" else bert

    def _network(self, train: Dataset, bert: Bert) -> CrossEncoderNetwork:
        config, tokenizer = self.config, bert.tokenizer
        match config.tuning:
            case "lora":
                bert.backbone.enable_lora(config.lora_rank)
            case "frozen":
                bert.backbone.trainable = False
        scorer = pair_scorer(
            bert.backbone,
            Special(tokenizer.cls_token_id, tokenizer.sep_token_id),
            history=(config.history_length, config.title_length),
            history_tokens=config.history_tokens,
            length=config.text_length,
            start=train.mean_rating if config.objective == "rating" else 0.0,
        )
        titles, texts = (TokenTable.of(ids, name=name) for name, ids in self._token_ids(train.items, bert).items())
        return CrossEncoderNetwork.of(scorer, titles, texts, config.history_length)

    def _token_ids(self, items: pd.DataFrame, bert: Bert) -> dict[str, np.ndarray]:
        """Token ids of titles, as a history has them, and of texts; row 0 is the padding's."""
        config = self.config
        titles = [f"{title}{ITEM_SEPARATOR}" for title in items["title"]]
        texts = {
            "titles": (titles, config.title_length),
            "texts": (items_to_texts(items, config.columns), config.text_length),
        }
        return {
            name: bert.token_ids(tf.constant(["", *values]), length).numpy() for name, (values, length) in texts.items()
        }

    def _serve(self, network: CrossEncoderNetwork, tokenizer: Any) -> CrossEncoderModels:
        """Build the models that score candidates and all items in passes of few pairs."""
        config, bert = self.config, Bert(network.backbone, tokenizer)
        passes = candidate_scorer = in_passes(network.model)
        if config.objective != "rating":  # popularity is not a rating
            scores = popular_candidates_if_empty(passes.output, self.fitted_data, passes.input)
            candidate_scorer = keras.Model(passes.input, scores)
        all_items = scores_of_all(passes, len(self.fitted_data.items))
        popular = popularity_scores(self.fitted_data, all_items.input)
        text_ranker = PairTextRanker(bert, network.scorer)
        return CrossEncoderModels(
            model=network.model,
            scorer=keras.Model(all_items.input, popular_if_empty(all_items.output, popular, all_items.input)),
            history_length=config.history_length,
            candidate_scorer=candidate_scorer,
            subset_by_candidates=True,
            max_pairs=_MAX_PAIRS,
            served_models=tuple(text_ranker.models),
            backbone=bert.backbone,
            network=network,
            bert=bert,
            text_ranker=text_ranker,
        )

    def _restore(self, model: keras.Model, folder: Path) -> CrossEncoderModels:
        with reading(folder / _TOKENIZER) as path:
            tokenizer = read_tokenizer(path)
        return self._serve(CrossEncoderNetwork.restore(model), tokenizer)

    def _save_parts(self, folder: Path) -> None:
        write_tokenizer(self.built.bert.tokenizer, folder / _TOKENIZER)

    def _grow(self, built: Any, new: pd.DataFrame) -> CrossEncoderModels:
        network, ids = built.network, self._token_ids(new, built.bert)
        more = (TokenTable.of(ids[name], name=name) for name in ("titles", "texts"))
        titles, texts = (
            table.with_more(extra) for table, extra in zip((network.titles, network.texts), more, strict=True)
        )
        return self._serve(
            CrossEncoderNetwork.of(network.scorer, titles, texts, self.config.history_length), built.bert.tokenizer
        )

    def refit_config(self) -> CrossEncoderConfig:
        """Return the configuration with the best number of epochs; see `Recommender.refit_config`."""
        return replace(self.config, epochs=ranker_trainer(self.config).best_epochs(self.training_log))

    def predict_ratings(self, targets: Targets) -> np.ndarray:
        """Predict the ratings of the targets' items, float32 [n], for the objective "rating"."""
        return predicted_ratings(self.predictor, targets)

    def score_texts(self, histories: Iterable[Iterable[str]], candidates: Iterable[Iterable[str]]) -> list[np.ndarray]:
        """Score raw texts; see `tfllmrec.models.ranker.text_ranker.score_texts`."""
        self.predictor  # noqa: B018  # raises if the recommender is not fitted
        return score_texts(text_function(self.built.text_ranker), histories, candidates)

    def signatures(self, top_k: int) -> list[Signature]:
        """Declare the signatures of an export; see `Recommender.signatures`."""
        return [*super().signatures(top_k), rank_texts_signature(self.built.text_ranker)]
