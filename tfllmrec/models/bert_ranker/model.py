"""The BERT ranking family: item texts encoded by a KerasNLP BERT, related to the history of a user."""

import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import SMALL, bert_from_name, pretrained_bert
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets, leave_last_out
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.fallback import popular_candidates_if_empty, popular_if_empty, popularity_scores
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.signature import Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec.models.bert_ranker.config import BertRankerConfig
from tfllmrec.models.bert_ranker.network import bi_encoder, interaction_head, scores_of_all
from tfllmrec.models.ranker.candidates import Retrieve, TrainingLists, predicted_ratings, single_retriever
from tfllmrec.models.ranker.text_ranker import BERT, TextRanker, rank_texts_signature, score_texts, text_function
from tfllmrec.models.ranker.training import ranker_trainer, train_ranker
from tfllmrec.models.registry import load_model, model_class

_TOWERS, _BERT = "towers", "bert"


@dataclass(frozen=True, kw_only=True)
class BertRankerModels(BuiltModels):
    """The models of a `BertRanker`.

    Attributes:
        towers: the fitted two-tower recommender that the vectors come from.
        bert: the backbone and its tokenizer.
        text_ranker: scores raw texts.
        pretrain_log: the log of the towers' first fit, before the interactions that are targets of lists.
    """

    towers: Any
    bert: Bert
    text_ranker: TextRanker
    pretrain_log: TrainingLog


class BertRanker(Recommender):
    """A bi-encoder: item vectors from BERT's vectors of their texts, and a head that scores candidates.

    Texts are encoded by a frozen BERT, every text once. Two towers (`TwoTower`) learn item and query vectors from
    texts, titles, categories and interactions. On these vectors an interaction head, with attention from the candidate
    to the history, learns to order lists under `tfrs.tasks.Ranking`. Then the towers are fine-tuned on the interactions
    that were held out as targets of lists.

    Args:
        backbone: a name for `tfllmrec.content.bert_loading.pretrained_bert`, or "small" for a BERT trained on the item
            texts.
        columns: text columns of the item table.
        text_length: tokens of a text that are read.
        towers: options of the two towers; others are chosen from the size of the data.
        finetune_epochs: maximum number of epochs in which the towers train on the interactions that were targets of
            lists.
        pooling_heads: weighted means of the history that a candidate attends to.
        hidden_units: units of the interaction head's perceptron.
        dropout: dropout of the interaction head.
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
        >>> model = BertRanker(backbone="all-minilm-l6-v2").fit(split.train, split.validation)
        >>> model.recommend(users=["42"], k=10)
    """

    family = "bert_ranker"
    config_class = BertRankerConfig
    main_signature = "rank"
    ranks_candidates = True
    built: BertRankerModels

    def __init__(
        self,
        *,
        backbone: str | None = None,
        columns: str | Sequence[str] | None = None,
        text_length: int | None = None,
        towers: Mapping[str, Any] | None = None,
        finetune_epochs: int | None = None,
        pooling_heads: int | None = None,
        hidden_units: int | None = None,
        dropout: float | None = None,
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
        config: BertRankerConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[BertRankerModels, TrainingLog]:
        config, rating = self.config, self.config.objective == "rating"
        earlier, last = (train, None) if rating else leave_last_out(train)
        towers: Any = model_class("two_tower").from_options(config.tower_options())
        texts = items_to_texts(train.items, config.columns)
        bert = bert_from_name(config.backbone, texts, length=config.text_length, seed=config.seed)
        towers.fit_in_context(
            replace(earlier, items=self._with_texts(earlier.items, bert)), validation, context.for_part(_TOWERS)
        )
        pretrain_log, lists = towers.training_log, None
        if last is not None:
            retrieve: Retrieve = context.retrieve or single_retriever(config)
            lists = TrainingLists.retrieve(
                retrieve, config, train=train, earlier=earlier, last=last, validation=validation
            )
        head = interaction_head(
            dim=towers.config.dim,
            history_length=config.history_length,
            pooling_heads=config.pooling_heads,
            hidden_units=config.hidden_units,
            dropout=config.dropout,
            mean_rating=train.mean_rating if rating else None,
        )
        built = self._serve(head, towers, bert, pretrain_log)
        log = train_ranker(Predictor(self.family, self.fitted_data, built), config, train, lists, validation, context)
        if not rating:  # with ratings, the towers have seen all interactions
            more = context.for_part(f"further-{_TOWERS}")
            towers.fit_more(train, validation, more, epochs=config.finetune_epochs)
            built = self._serve(head, towers, bert, pretrain_log)
        return built, log

    def _with_texts(self, items: pd.DataFrame, bert: Bert) -> pd.DataFrame:
        """Add the vectors of the texts to an item table."""
        from tfllmrec.content.bert_vectors import text_vectors

        texts = items_to_texts(items, self.config.columns)
        keep = self.config.backbone != SMALL  # every fit trains its own small BERT
        vectors = text_vectors(texts, bert, length=self.config.text_length, use_cache=keep)
        return items.assign(**{BERT: list(vectors)})

    def _serve(self, head: keras.Model, towers: Any, bert: Bert, pretrain_log: TrainingLog) -> BertRankerModels:
        """Build the models that score candidates and all items, on the fixed vectors of the towers."""
        config, network = self.config, towers.built.network
        network.model.trainable = False
        candidate_scorer = bi_encoder(towers.index, network.encoder, head)
        if config.objective != "rating":  # popularity is not a rating
            inputs = candidate_scorer.input
            scores = popular_candidates_if_empty(candidate_scorer.output, self.fitted_data, inputs)
            candidate_scorer = keras.Model(inputs, scores)
        all_items = scores_of_all(towers.index, network.encoder, head)
        popular = popularity_scores(self.fitted_data, all_items.input)
        text_ranker = TextRanker(bert, config.text_length, network.items.fusion, network.encoder, head)
        return BertRankerModels(
            model=head,
            scorer=keras.Model(all_items.input, popular_if_empty(all_items.output, popular, all_items.input)),
            history_length=config.history_length,
            query_model=towers.query_model,
            index=towers.index,
            candidate_scorer=candidate_scorer,
            subset_by_candidates=True,
            served_models=tuple(text_ranker.models),
            backbone=bert.backbone,
            towers=towers,
            bert=bert,
            text_ranker=text_ranker,
            pretrain_log=pretrain_log,
        )

    def _restore(self, model: keras.Model, folder: Path) -> BertRankerModels:
        return self._serve(model, load_model(folder / _TOWERS), pretrained_bert(folder / _BERT), {})

    def _save_parts(self, folder: Path) -> None:
        self.built.towers.save(folder / _TOWERS)
        shutil.rmtree(folder / _BERT, ignore_errors=True)  # of an earlier save
        self.built.bert.save(folder / _BERT)

    def _grow(self, built: Any, new: pd.DataFrame) -> BertRankerModels:
        towers = built.towers.with_items(self._with_texts(new, built.bert))
        return self._serve(built.model, towers, built.bert, built.pretrain_log)

    def refit_config(self) -> BertRankerConfig:
        """Return the configuration with the best numbers of epochs, of the head and of both fits of the towers."""
        towers, built = self.built.towers, self.built
        options = {**self.config.towers, "epochs": towers.best_epochs(built.pretrain_log)}
        return replace(
            self.config,
            epochs=ranker_trainer(self.config).best_epochs(self.training_log),
            towers=options,
            finetune_epochs=towers.best_epochs(towers.training_log),
        )

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
