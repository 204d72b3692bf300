"""The multi-task family: several tasks over shared histories and items, also across scenarios."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd

from tfllmrec.content.item_tokens import MIN_LABEL_ITEMS, label_vocabulary
from tfllmrec.content.user_text_means import UserTextMeans
from tfllmrec.data.arguments import require_dataset
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.models.base.arguments import require_targets
from tfllmrec.models.base.config import given_options
from tfllmrec.models.base.content import ItemContent, copy_weights, keep_known_vectors
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.saving import reading
from tfllmrec.models.base.signature import Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec.models.multi_task.architecture import build_network, network_experts
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.evaluation import task_scores
from tfllmrec.models.multi_task.inference import TaskPredictor
from tfllmrec.models.multi_task.members import new_item_members, scenario_members
from tfllmrec.models.multi_task.network import MultiTaskNetwork
from tfllmrec.models.multi_task.scoring import MultiTaskModels, build_models
from tfllmrec.models.multi_task.signatures import interest_signatures
from tfllmrec.models.multi_task.training import multi_task_trainer, train_network
from tfllmrec.models.multi_task.user_texts import UserTexts
from tfllmrec_client.requests import recommend_request

_LABELS = "labels.json"


class MultiTask(Recommender):
    """Learn several tasks in one network, and over several scenarios where the data has them.

    The history of every scenario is encoded once for all tasks. Attention fuses the scenarios for the requested one.
    Experts are mixed for every task by its own gate. With scenarios, recommendations are items of the requested
    scenario.

    Args:
        tasks: some of "next_item" (softmax over the catalog), "retrieval" (softmax over the batch), "like"
            (cross-entropy), "rating" (squared error) and "interests" (categories of the following items); by default
            those that the data has labels for.
        weighting: weights of the task losses: given, or learnt (Kendall et al., 2018, CVPR).
        weights: weights of task losses by task; 1 for others.
        sharing: how experts are shared; see `tfllmrec.layers.experts.expert_names`.
        experts: number of shared experts; "shared_bottom" always has one.
        expert_units: hidden units of an expert.
        transfer: whether a scenario reads the interactions of others and has an expert of its own.
        like_threshold: lowest rating of a like.
        interest_window: number of following items; their categories are the interests.
        backbone: a BERT that reads the texts of users (column `text` of the interactions), as in `BertRanker`; "" for
            none.
        text_length: tokens of a text that are read.
        pair_units: hidden units of the heads of "rating" and "like".
        pair_dropout: dropout of these units and of their inputs.
        in_batch: positions of a batch that "retrieval" samples.
        learning_rate: learning rate of AdamW.
        warmup: epochs in which the learning rate rises from 0.
        schedule: learning rate after the warm-up; "cosine" falls to 0 at the last epoch.
        weight_decay: weight decay of AdamW.
        ema: momentum of the moving average of the weights that is evaluated and kept.
        batch_size: examples a step.
        epochs: maximum number of epochs.
        patience: epochs without a better validation metric before training stops.
        content: whether title and categories add to the vector of an item.
        vectors: columns of the item table with content vectors that add to it.
        token_std: standard deviation of the initial token vectors.
        id_dropout: probability that an item is represented by its content alone in a training step.
        modality_dropout: probability that the vector of a column is treated as missing.
        dim: width of item and query vectors.
        units: units of every recurrent layer.
        cell: recurrent cell.
        layers: number of recurrent layers.
        pooling_heads: learnt weighted means of the history in addition to the recurrent state; 0 for none.
        normalise: whether input item vectors are layer-normalised.
        input_dropout: dropout of input item vectors.
        dropout: dropout of recurrent states and hidden units.
        query_dropout: dropout of query vectors.
        candidate_dropout: dropout of scored item vectors.
        label_smoothing: share of the target distribution that is spread over all items.
        negatives: "full" softmax over all items, or over "sampled" ones with the logQ correction.
        num_negatives: sampled items per batch, where `negatives` samples.
        hide_seen: whether items of the history are left out of the negatives ("full" only).
        precision: precision of recurrent layers and products in training.
        history_length: most recent items of a user that the model reads.
        seed: seed of every random choice.
        config: a complete configuration instead of single options.

    Example:
        >>> model = MultiTask(tasks="next_item,rating").fit(split.train, split.validation)
        >>> model.predict_ratings(split.test)
    """

    family = "multi_task"
    config_class = MultiTaskConfig
    main_signature = "recommend"
    uses_scenarios = True
    built: MultiTaskModels

    def __init__(
        self,
        *,
        tasks: str | Sequence[str] | None = None,
        weighting: Literal["given", "uncertainty"] | None = None,
        weights: Mapping[str, Any] | None = None,
        sharing: Literal["shared_bottom", "mmoe", "ple"] | None = None,
        experts: int | None = None,
        expert_units: int | None = None,
        transfer: bool | None = None,
        like_threshold: float | None = None,
        interest_window: int | None = None,
        backbone: str | None = None,
        text_length: int | None = None,
        pair_units: int | None = None,
        pair_dropout: float | None = None,
        in_batch: int | None = None,
        learning_rate: float | None = None,
        warmup: int | None = None,
        schedule: Literal["constant", "cosine"] | None = None,
        weight_decay: float | None = None,
        ema: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        patience: int | None = None,
        content: bool | None = None,
        vectors: str | Sequence[str] | None = None,
        token_std: float | None = None,
        id_dropout: float | None = None,
        modality_dropout: float | None = None,
        dim: int | None = None,
        units: int | None = None,
        cell: Literal["lstm", "gru"] | None = None,
        layers: int | None = None,
        pooling_heads: int | None = None,
        normalise: bool | None = None,
        input_dropout: float | None = None,
        dropout: float | None = None,
        query_dropout: float | None = None,
        candidate_dropout: float | None = None,
        label_smoothing: float | None = None,
        negatives: Literal["full", "sampled"] | None = None,
        num_negatives: int | None = None,
        hide_seen: bool | None = None,
        precision: Literal["float32", "bfloat16"] | None = None,
        history_length: int | None = None,
        seed: int | None = None,
        config: MultiTaskConfig | None = None,
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(
        self, train: Dataset, validation: Targets | None, context: FitContext
    ) -> tuple[MultiTaskModels, TrainingLog]:
        config, members, labels = self.config, scenario_members(train), self._label_vocabulary(train)
        mean_rating = train.mean_rating if "rating" in config.tasks else 0.0
        texts, written = self._learn_texts(train)
        content = ItemContent.from_items(train.items, config)
        items = content.embedding(train.items, self.fitted_data.counts, config)
        network = self._network(items, members, labels, texts, mean_rating)
        built = build_models(network, config, self.fitted_data, content, labels, texts)
        predictor = Predictor(self.family, self.fitted_data, built)
        return built, train_network(predictor, built, config, train, validation, context, written)

    def _label_vocabulary(self, train: Dataset) -> Vocabulary:
        labels = label_vocabulary(train.items)
        if "interests" in self.config.tasks and not len(labels):
            raise InputError(
                f"multi_task: interests require categories of at least {MIN_LABEL_ITEMS} items, and the items table "
                "has none; add categories, or leave the task out"
            )
        return labels

    def _learn_texts(self, train: Dataset) -> tuple[UserTexts | None, UserTextMeans | None]:
        config = self.config
        if not config.backbone:
            return None, None
        if "interests" not in config.tasks:
            raise InputError("multi_task: backbone reads texts for interests; add that task, or leave backbone out")
        return UserTexts.learn(train, config.backbone, length=config.text_length, seed=config.seed)

    def _network(
        self,
        items: ItemEmbedding,
        members: np.ndarray,
        labels: Vocabulary,
        texts: UserTexts | None,
        mean_rating: float = 0.0,
    ) -> MultiTaskNetwork:
        return build_network(
            self.config,
            self.fitted_data,
            items,
            members,
            labels=len(labels),
            text_width=0 if texts is None else texts.width,
            mean_rating=mean_rating,
        )

    def _restore(self, model: keras.Model, folder: Path) -> MultiTaskModels:
        with reading(folder / _LABELS) as path:
            labels = Vocabulary(json.loads(path.read_text(encoding="utf-8")))
        config = self.config
        texts = UserTexts.load(folder, config.text_length) if config.backbone else None
        network, content = MultiTaskNetwork.restore(model, config.tasks), ItemContent.load(folder, config)
        return build_models(network, config, self.fitted_data, content, labels, texts)

    def _save_parts(self, folder: Path) -> None:
        built = self.built
        built.content.save(folder)
        text = json.dumps(built.labels.tokens[1:].tolist(), ensure_ascii=False)
        (folder / _LABELS).write_text(text + "\n", encoding="utf-8")
        if built.texts is not None:
            built.texts.save(folder)

    def _grow(self, built: Any, new: pd.DataFrame) -> MultiTaskModels:
        members = np.concatenate([built.members, new_item_members(new, self.fitted_data.scenarios)], axis=1)
        items = built.content.grow(built.network.items, new, self.family)
        network = self._network(items, members, built.labels, built.texts)
        copy_weights(built.model, network.model, skip=[network.items, network.layers.split])
        grown = build_models(network, self.config, self.fitted_data, built.content, built.labels, built.texts)
        keep_known_vectors(built.index, grown.index)
        return grown

    def refit_config(self) -> MultiTaskConfig:
        """Return the configuration with the best number of epochs; see `Recommender.refit_config`."""
        return replace(self.config, epochs=multi_task_trainer(self.config).best_epochs(self.training_log))

    @property
    def labels(self) -> Vocabulary:
        """The interest labels: categories of several items."""
        self.predictor  # noqa: B018  # raises where nothing is fitted
        return self.built.labels

    @property
    def experts(self) -> list[str]:
        """The names of the experts; see `tfllmrec.layers.experts.expert_names`."""
        self.predictor  # noqa: B018  # raises where nothing is fitted
        return network_experts(self.config, self.fitted_data.scenarios)

    @property
    def _tasks(self) -> TaskPredictor:
        return TaskPredictor(self.predictor, self.built, self.config.tasks)

    def predict_ratings(self, targets: Targets) -> np.ndarray:
        """Predict the ratings of the targets' items, float32 [n].

        Raises:
            InputError: If "rating" is not one of the tasks.
        """
        require_targets("predict_ratings", "targets", targets)
        return self._tasks.pairs("rating", targets)

    def like_chances(self, targets: Targets) -> np.ndarray:
        """Predict the probabilities that users like the targets' items, float32 [n].

        Raises:
            InputError: If "like" is not one of the tasks.
        """
        require_targets("like_chances", "targets", targets)
        return self._tasks.pairs("like", targets)

    def interest_scores(self, targets: Targets) -> np.ndarray:
        """Predict the probabilities of all labels after the targets' histories, float32 [n, labels].

        Raises:
            InputError: If "interests" is not one of the tasks.
        """
        require_targets("interest_scores", "targets", targets)
        return self._tasks.interest_scores(targets)

    def interests(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        *,
        scenarios: Iterable[str] | None = None,
        texts: Iterable[Iterable[str]] | None = None,
    ) -> pd.DataFrame:
        """Predict the labels of the next items; see `Recommender.interests`. A `backbone` reads texts."""
        tasks = self._tasks
        request = recommend_request(users, histories, None, scenarios=scenarios, texts=texts, call="interests")
        return tasks.interests(request, with_texts=texts is not None)

    def expert_use(self, targets: Targets) -> pd.DataFrame:
        """Return the weight of every expert in every task, averaged over targets.

        Returns:
            Columns scenario ("" for a model without scenarios), task, expert, share; the shares of a scenario and task
            sum to 1.
        """
        require_targets("expert_use", "targets", targets)
        return self._tasks.expert_use(targets, self.experts)

    def evaluate_tasks(self, data: Dataset, targets: Targets) -> dict[str, Any]:
        """Evaluate each task; see `Recommender.evaluate_tasks` and, for the metrics, `evaluation.task_scores`."""
        require_dataset("evaluate_tasks", "data", data)
        require_targets("evaluate_tasks", "targets", targets)
        targets = self.fitted_data.known_targets("evaluate_tasks", targets)
        scores = task_scores(self._tasks, self.config, self.labels, data, targets)
        return {"tasks": scores, "experts": self.expert_use(targets).to_dict("records")}

    def signatures(self, top_k: int) -> list[Signature]:
        """Declare the signatures of an export; see `Recommender.signatures`."""
        return [*super().signatures(top_k), *interest_signatures(self.built)]
