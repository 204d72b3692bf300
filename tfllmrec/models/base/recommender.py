"""The base of all model families: one interface, one format on disk."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.arguments import path_of, positive_integer, require_type
from tfllmrec.data.arguments import require_dataset
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.id_order import IdOrder
from tfllmrec.data.splits import Targets
from tfllmrec.data.table_checks import check_items
from tfllmrec.errors import InputError
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.ranking import RankedTargets
from tfllmrec.keras_state import isolated_keras
from tfllmrec.layers.item_index import ItemIndex
from tfllmrec.models.base.arguments import callbacks_of, index_array, require_targets, verbosity
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import Config, explained, read_once
from tfllmrec.models.base.cores import best_items_core, rank_signature, retrieval_signatures, vector_signatures
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.saving import read_description, reading, write_description
from tfllmrec.models.base.signature import Signature
from tfllmrec.models.base.trainer import FitContext, TrainingLog
from tfllmrec_client.requests import item_request, rank_request, recommend_request
from tfllmrec_client.results import ItemEmbeddings, QueryEmbeddings


class Recommender(ABC):
    """A recommender: fitted on a data set, called with string ids, saved without pickle.

    A family sets `family` and `config_class`, builds and trains its models (`_fit`), and builds them from the saved
    model (`_restore`). All predictions and exports call the models of the record `built`.

    Args:
        config: a complete configuration; without it `fit` chooses one from the options and the size of the data.
        options: the options set by the caller.

    Attributes:
        main_signature: the default signature of an export.
        uses_scenarios: whether the family reads scenarios where the data has them.
        ranks_candidates: whether the family learns to order candidates, so that it may be the ranker of a cascade.
        config: the configuration of the fit, or the one given, or None.
        fitted_data: ids, titles and stored histories of the training part.
        built: the models.
        training_log: the logs of Keras `fit`, epoch by epoch; empty for families without epochs.
    """

    family: ClassVar[str]
    config_class: ClassVar[type[Config]]
    main_signature: ClassVar[str] = "retrieve"
    uses_scenarios: ClassVar[bool] = False
    ranks_candidates: ClassVar[bool] = False

    config: Any
    fitted_data: FittedData
    built: Any
    training_log: TrainingLog
    _predictor: Predictor | None = None

    def __init__(self, config: Config | None, options: Mapping[str, Any]) -> None:
        if config is not None and options:
            raise InputError(f"{self.family}: give either config or single options")
        kind = self.config_class
        require_type(self.family, "config", config, (kind, type(None)), f"pass a {kind.__name__}, or single options")
        self.config_class.from_options(options)  # fails before any data is read
        self.config = self._given = config
        self._options = dict(options)
        self._sources: dict[str, str] = {}
        self.training_log = {}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Create a recommender from named options; values may be text, as on a command line.

        Raises:
            InputError: If an option is unknown or has a wrong value.
        """
        require_type(cls.family, "options", options, Mapping, "pass a dictionary of values by name")
        options = read_once(options)
        cls.config_class.from_options(options)
        return cls(**options)

    @classmethod
    def with_config(cls, config: Config) -> Self:
        """Create a recommender with a complete configuration."""
        return cls(config=config)  # type: ignore[call-arg]

    def fit(
        self,
        train: Dataset,
        validation: Targets | None = None,
        *,
        callbacks: Iterable[keras.callbacks.Callback] | None = (),
        verbose: int | str = "auto",
        backup: str | Path | None = None,
    ) -> Self:
        """Fit on the training part of a split.

        Args:
            train: the training data; the histories of its users are stored.
            validation: targets that decide when to stop, for families that train in epochs.
            callbacks: callbacks for Keras `fit`.
            verbose: as in Keras `fit`.
            backup: a file for the state after every epoch. A fit that finds the file resumes from it, to identical
                weights. The file is not removed.

        Returns:
            The recommender.

        Raises:
            InputError: If an argument has a wrong type, the backup is damaged or belongs to a fit with other options
                or data, or the validation targets are of another data set.
        """
        require_dataset("fit", "train", train)
        if validation is not None:
            require_targets("fit", "validation", validation)
        path = None if backup is None else path_of("fit", "backup", backup)
        context = FitContext(callbacks_of("fit", callbacks), verbosity("fit", verbose), path)
        return self.fit_in_context(train, validation, context)

    @isolated_keras()
    def fit_in_context(self, train: Dataset, validation: Targets | None, context: FitContext) -> Self:
        """Fit as a part of another model; see `fit`."""
        self.config = self._given or self.config_class.for_data(train, self._options)
        given = self._options if self._given is None else self.config.to_dict()
        self._sources = self.config_class.sources(train, given)
        self.fitted_data = self._fitted_data_of(train)
        if validation is not None:
            validation = self.fitted_data.known_targets("fit", validation)
        keras.utils.set_random_seed(self.config.seed)
        built, self.training_log = self._fit(train, validation, context)
        self._use(built)
        return self

    def _fitted_data_of(self, train: Dataset) -> FittedData:
        return FittedData.from_dataset(train, self._user_columns, with_scenarios=self.uses_scenarios)

    @property
    def _user_columns(self) -> tuple[str, ...]:
        """The columns of the user table that the family reads."""
        return ()

    @abstractmethod
    def _fit(self, train: Dataset, validation: Targets | None, context: FitContext) -> tuple[BuiltModels, TrainingLog]:
        """Build and train the models, from `config` and `fitted_data`."""

    @abstractmethod
    def _restore(self, model: keras.Model, folder: Path) -> BuiltModels:
        """Build the record from a saved model, and from what `_save_parts` wrote."""

    def _save_parts(self, folder: Path) -> None:  # noqa: B027
        """Write the parts of the family that are not in its model."""

    def _use(self, built: BuiltModels) -> None:
        """Predict with these models."""
        self.built, self._predictor = built, Predictor(self.family, self.fitted_data, built)

    @property
    def is_fitted(self) -> bool:
        """Whether the recommender was fitted or loaded."""
        return self._predictor is not None

    @property
    def predictor(self) -> Predictor:
        """The object that calls the models.

        Raises:
            InputError: If the recommender is not fitted.
        """
        if self._predictor is None:
            raise InputError(f"this {self.family} is not fitted; call fit first")
        return self._predictor

    @property
    def model(self) -> keras.Model:
        """The trained model, which is saved."""
        return self.predictor.built.model

    @property
    def scorer(self) -> keras.Model:
        """The scoring model; see `BuiltModels`."""
        return self.predictor.built.scorer

    @property
    def query_model(self) -> keras.Model | None:
        """The model of query vectors, or None."""
        return self.predictor.built.query_model

    @property
    def index(self) -> ItemIndex | None:
        """The item vectors, or None."""
        return self.predictor.built.index

    @property
    def id_order(self) -> IdOrder:
        """The order of the ids; `Dataset.from_frames` builds data sets of grown tables for this model with it."""
        self.predictor  # noqa: B018  # raises if there are no ids
        return self.fitted_data.id_order

    @property
    def history_length(self) -> int:
        """The number of most recent items that the scoring model reads, L."""
        return self.predictor.built.history_length

    def with_own_trace(self) -> Self:
        """Return a copy whose scoring model is traced now."""
        other = copy.copy(self)
        other._predictor = Predictor(self.family, self.fitted_data, self.predictor.built).traced()
        return other

    def refit_config(self) -> Config:
        """Return the configuration for another fit on more data without validation targets.

        Raises:
            InputError: If this fit had no validation targets that say how many epochs are best.
        """
        return self.config

    def explain_config(self) -> pd.DataFrame:
        """Return every option with its value and its source.

        Returns:
            Columns option, value and source: "caller", "default", or "data: <rule>" for values chosen from the size
            of the data.

        Raises:
            InputError: If the recommender is not fitted.
        """
        self.predictor  # noqa: B018  # raises if there is no configuration
        return explained(self.config, self._sources)

    def __copy__(self) -> Self:
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        return other

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to pickle or deep-copy a fitted recommender: Keras models and traced functions cannot be."""
        if self.is_fitted:
            raise InputError(
                f"a fitted {self.family} cannot be pickled or deep-copied; write it with save(folder) and read it with "
                "tfllmrec.load_model(folder)"
            )
        return super().__reduce_ex__(protocol)

    def __sklearn_clone__(self) -> Self:
        """Return an unfitted recommender with the same options, for `sklearn.base.clone`."""
        other = copy.copy(self)
        other.config, other._predictor, other._sources, other.training_log = self._given, None, {}, {}
        for name in ("fitted_data", "built"):
            other.__dict__.pop(name, None)
        return other

    def __repr__(self) -> str:
        given = self._options if self._given is None else {"config": self._given}
        text = f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"
        if self._predictor is None:
            return text
        return f"<{text} fitted on {len(self.fitted_data.users):,} users and {len(self.fitted_data.items):,} items>"

    def score(self, users: np.ndarray, histories: np.ndarray, *args: Any, **kwargs: Any) -> tf.Tensor:
        """Score all items for indices; see `Predictor.score`."""
        predictor, data = self.predictor, self.fitted_data
        users = index_array("score", "users", users, axes=1, lowest=0, highest=len(data.users))
        histories = index_array("score", "histories", histories, axes=2, lowest=0, highest=len(data.items))
        return predictor.score(users, histories, *args, **kwargs)

    def rank_targets(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> RankedTargets:
        """Rank every target among all items that its user has not seen; see `tfllmrec.evaluation.rank_targets`.

        Args:
            targets: users, histories and target items.
            k: length of the top lists.
            item_subset: item indices to rank; None ranks all.

        Raises:
            InputError: If the targets are of a data set with other ids; see `id_order`.
        """
        return self._rank_targets("rank_targets", targets, k, item_subset)

    def evaluate(self, targets: Targets, k: int = 10, *, item_subset: np.ndarray | None = None) -> dict[str, float]:
        """Return ndcg, recall and the other metrics at k; see `rank_targets` and `tfllmrec.evaluation.summarise`."""
        return summarise(self._rank_targets("evaluate", targets, k, item_subset), self.fitted_data.counts, int(k))

    def _rank_targets(self, call: str, targets: Targets, k: int, item_subset: np.ndarray | None) -> RankedTargets:
        require_targets(call, "targets", targets)
        predictor, k = self.predictor, positive_integer(call, "k", k)
        if item_subset is not None:
            highest = len(self.fitted_data.items)
            item_subset = index_array(call, "item_subset", item_subset, axes=1, lowest=1, highest=highest)
        return predictor.rank_targets(self.fitted_data.known_targets(call, targets), k, item_subset)

    def evaluate_tasks(self, data: Dataset, targets: Targets) -> dict[str, Any]:
        """Evaluate the tasks of a family that has more than ranking.

        Args:
            data: whole data set, with the labels of its items.
            targets: evaluation targets.

        Returns:
            {"tasks": metrics by task, "experts": rows with scenario, task, expert and share}, for
            `tfllmrec.evaluation.report.multi_task_table`; {} for families that only rank.
        """
        return {}

    def recommend(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        k: int = 10,
        *,
        exclude: Iterable[Iterable[str]] | None = None,
        user_features: Iterable[Iterable[str]] | None = None,
        scenarios: Iterable[str] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """Return the best items for users, for histories, or for both row by row.

        A history of the request has precedence over the stored one. A row with neither gets popular items. Unknown ids
        and "" are ignored. Arguments with one entry per row, and their rows, are any iterables of strings, read once:
        lists, generators, arrays, columns of tables. The rows of `exclude` may also be sets.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            k: items per row; fewer are returned where fewer are left.
            exclude: item ids that must not be returned, one sequence a row.
            user_features: features such as "gender=F", which replace the stored ones, one sequence a row; for models
                that read them.
            scenarios: one name per row; required by models that read scenarios.
            exclude_seen: whether items of the given and the stored history are excluded, too.

        Returns:
            Columns row (position in the request), user_id, rank (from 1), item_id, title, score; best first.

        Raises:
            InputError: If users, histories and features are all missing, rows do not match, k is below 1, a string
                is given for a sequence, or the model does not read the features or scenarios.
        """
        k, predictor = positive_integer("recommend", "k", k), self.predictor
        require_type("recommend", "exclude_seen", exclude_seen, (bool, np.bool_), "pass True or False")
        request = recommend_request(users, histories, exclude, user_features, scenarios)
        return predictor.recommend(request, k, features_given=user_features is not None, exclude_seen=exclude_seen)

    def next_items(
        self, histories: Iterable[Iterable[str]], k: int = 10, *, exclude: Iterable[Iterable[str]] | None = None
    ) -> pd.DataFrame:
        """Return the best items after histories; see `recommend`."""
        k, predictor = positive_integer("next_items", "k", k), self.predictor
        request = recommend_request(None, histories, exclude, call="next_items")
        return predictor.recommend(request, k, features_given=False, exclude_seen=True)

    def rank(
        self,
        candidates: Iterable[Iterable[str]],
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        scenarios: Iterable[str] | None = None,
    ) -> list[np.ndarray]:
        """Score candidates for users, for histories, or for both row by row; see `recommend` for both.

        Args:
            candidates: item ids, one sequence a row.
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            scenarios: one name per row; required by models that read scenarios.

        Returns:
            For every row scores float32 in the order of its candidates; float32's lowest for unknown items.

        Raises:
            InputError: As `recommend`.
        """
        predictor = self.predictor
        return predictor.rank(rank_request(candidates, users, histories, scenarios))

    def interests(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        *,
        scenarios: Iterable[str] | None = None,
        texts: Iterable[Iterable[str]] | None = None,
    ) -> pd.DataFrame:
        """Predict the labels (categories) of the next items for users, for histories, or for both row by row.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row; see `recommend`.
            scenarios: one name per row; required by models that read scenarios.
            texts: texts of the users, such as searches, which replace the stored ones, one sequence a row; for models
                that read them.

        Returns:
            Columns row, user_id, label, score (the probability that one of the next items has the label); highest
            first.

        Raises:
            InputError: If the model does not predict interests or does not read texts, or as `recommend`.
        """
        raise InputError(f"interests: this {self.family} does not predict interests; multi_task does")

    def similar_items(self, items: Iterable[str], k: int = 10) -> pd.DataFrame:
        """Return the items with the nearest vectors.

        Args:
            items: item ids.
            k: items per row.

        Returns:
            Columns row, query_item_id, rank (from 1), item_id, title, score (cosine); an unknown item has no rows.

        Raises:
            InputError: If the family has no item vectors, or k is below 1.
        """
        k, predictor = positive_integer("similar_items", "k", k), self.predictor
        return predictor.similar_items(item_request(items, call="similar_items").items, k)

    def embed_items(self, items: Iterable[str] | None = None) -> ItemEmbeddings:
        """Return item vectors.

        Args:
            items: item ids; None for all items. Unknown items have zeros.

        Raises:
            InputError: If the family has no item vectors.
        """
        predictor = self.predictor
        items = self.fitted_data.items.tokens[1:] if items is None else items
        return predictor.embed_items(item_request(items, call="embed_items").items)

    def embed_queries(
        self, users: Iterable[str] | None = None, histories: Iterable[Iterable[str]] | None = None
    ) -> QueryEmbeddings:
        """Return query vectors of users, of histories, or of both row by row; see `recommend` for both.

        Raises:
            InputError: If the family has no query vectors, or as `recommend`.
        """
        predictor = self.predictor
        return predictor.embed_queries(recommend_request(users, histories, None, call="embed_queries"))

    def signatures(self, top_k: int) -> list[Signature]:
        """Declare the signatures of an export.

        Args:
            top_k: items that recommendations have.
        """
        built = self.predictor.built
        core = best_items_core(built, top_k)
        return [
            *retrieval_signatures(core, main=self.main_signature),
            rank_signature(built),
            *vector_signatures(built, top_k),
        ]

    @isolated_keras()
    def with_items(self, items: pd.DataFrame) -> Self:
        """Return a recommender with further items, which it scores by their content; nothing is trained.

        Args:
            items: item_id, title and the content that the family reads; known items are ignored.

        Returns:
            Another recommender; the scores of known items are unchanged.

        Raises:
            InputError: If no item is new, the table is invalid, or the family scores items by interactions alone.
        """
        predictor = self.predictor
        require_type("with_items", "items", items, pd.DataFrame, "pass a pandas DataFrame with item_id and title")
        items = check_items(items)
        new = items[self.fitted_data.items.lookup(items["item_id"]) == 0]
        if new.empty:
            raise InputError(f"items: all {len(items):,} are known to this {self.family} already")
        grown = copy.copy(self)
        grown.fitted_data = self.fitted_data.with_items(new)
        grown._use(grown._grow(predictor.built, new))
        return grown

    def _grow(self, built: BuiltModels, new: pd.DataFrame) -> BuiltModels:
        """Build the models with new items, from a checked table; `fitted_data` has the items already."""
        raise InputError(f"a {self.family} scores items by their interactions alone; fit it on data with the new items")

    def save(self, folder: str | Path) -> None:
        """Write configuration, fitted data and models to a folder; `tfllmrec.load_model` reads them."""
        model, folder = self.model, path_of("save", "folder", folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.fitted_data.save(folder)
        self._save_parts(folder)
        model.save(folder / "model.keras")
        write_description(folder, self.family, self.config.to_dict(), self._sources)  # last: it marks a complete folder

    @classmethod
    @isolated_keras()
    def load(cls, folder: str | Path) -> Self:
        """Read a folder that `save` wrote.

        Raises:
            InputError: If the folder does not hold a recommender of this family.
        """
        folder = path_of("load", "folder", folder)
        family, config, sources = read_description(folder)
        if family != cls.family:
            raise InputError(f"{folder} holds a {family}, not a {cls.family}")
        recommender = cls.with_config(cls.config_class.from_options(config))
        recommender._sources = sources
        recommender.fitted_data = FittedData.load(folder)
        with reading(folder / "model.keras") as path:
            model = keras.saving.load_model(path, safe_mode=True)
            recommender._use(recommender._restore(model, folder))
        return recommender
