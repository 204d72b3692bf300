"""What all families have in common: the same calls, the same rules, the same files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import Targets
from tfllmrec.data.tables import check_items
from tfllmrec.errors import InputError
from tfllmrec.evaluation.metrics import summarise
from tfllmrec.evaluation.ranking import Ranking, rank_targets
from tfllmrec.models.top_items import top_items
from tfllmrec.questions import questions
from tfllmrec.recommenders.catalogue import Catalogue
from tfllmrec.recommenders.config import Config
from tfllmrec.recommenders.saved import read_description, reading, write_description


class Recommender(ABC):
    """One family of the zoo: fitted on a data set, asked in string ids, saved without pickle.

    A family sets `family` and `config_class` and says how it is fitted (`_fit`). What it can answer follows from
    its scoring model, a functional `keras.Model` from {"user": int32 [B], "history": int32 [B, L]} (and perhaps
    "user_features": int32 [B, F]) to a score for every item, float32 [B, items + 1]: evaluation, `recommend` and the
    export all run this one model.

    Args:
        config: the family's configuration; without it `fit` chooses one from the size of the data.
        options: single options to set, where the others are to be chosen from the data.

    Attributes:
        main_signature: what an export answers where no signature is named.
        config: the configuration the recommender was fitted with (or None before).
        catalogue: ids, titles and stored histories.
        model: what is trained and saved.
        scorer: the scoring model.
        history: what Keras `fit` logged, epoch by epoch; empty for families without epochs, and after loading.
    """

    family: ClassVar[str]
    config_class: ClassVar[type[Config]]
    main_signature: ClassVar[str] = "retrieve"

    config: Any
    catalogue: Catalogue
    model: keras.Model
    scorer: keras.Model
    history: Mapping[str, list[float]]

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        if config is not None and options:
            raise InputError(f"{self.family}: give a config or single options, not both")
        self.config_class.from_options(options)  # a wrong option fails here, before any data is read
        self.config = self._given = config
        self._options = options
        self.history = {}

    def fit(
        self,
        train: Dataset,
        validation: Targets | None = None,
        *,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        verbose: int | str = "auto",
        backup: str | Path | None = None,
    ) -> Self:
        """Fit on a training part.

        Args:
            train: what to learn from; its users' histories are stored.
            validation: decides when to stop, where the family trains in epochs.
            callbacks: for Keras `fit`, where the family uses it.
            verbose: as in Keras `fit`.
            backup: a file for the state after every epoch, where the family trains in epochs. A fit that finds
                one goes on from it, and ends as if it had never been broken off. It stays there until you
                remove it.

        Raises:
            InputError: the backup is damaged, or that of a fit with other options or data.
        """
        self.config = self._given or self.config_class.for_data(train, self._options)
        self.catalogue = Catalogue.from_dataset(train, self._user_columns)
        keras.utils.set_random_seed(self.config.seed)
        place = None if backup is None else Path(backup)
        self._fit(train, validation, callbacks=list(callbacks), verbose=verbose, backup=place)
        return self

    @property
    def _user_columns(self) -> tuple[str, ...]:
        """The columns of the user table that the family reads."""
        return ()

    def settled_config(self) -> Config:
        """The configuration to fit with once more on more data, where no validation can decide when to stop."""
        return self.config

    @abstractmethod
    def _fit(
        self,
        train: Dataset,
        validation: Targets | None,
        *,
        callbacks: list[keras.callbacks.Callback],
        verbose: int | str,
        backup: Path | None,
    ) -> None:
        """Set `self.model` from the catalogue and the configuration, and `_assemble`."""

    def _build_scorer(self) -> keras.Model:
        """The scoring model, made from `self.model`."""
        return self.model

    def _assemble(self) -> None:
        """What `self.model` needs to answer, after it was built or loaded."""
        self.scorer = self._build_scorer()
        inputs = {name: tf.TensorSpec(i.shape, i.dtype, name) for name, i in self.scorer.input.items()}
        self._score = tf.function(self.scorer, input_signature=[inputs])

    def require_fitted(self) -> None:
        """Raise an InputError unless the recommender was fitted or loaded."""
        if not hasattr(self, "scorer"):
            raise InputError(f"this {self.family} is not fitted; call fit first")

    @property
    def history_length(self) -> int:
        """L, how many of the newest items the scoring model reads."""
        return self.config.history_length

    def score(self, users: np.ndarray, histories: np.ndarray, features: np.ndarray | None = None) -> tf.Tensor:
        """Scores of all items: users int32 [B], histories int32 [B, L] -> float32 [B, items + 1].

        Where the model reads users' features there may be others than those stored, int32 [B, F].
        """
        inputs = {"user": users, "history": histories}
        if self.catalogue.features is not None:
            width = len(self.catalogue.features.columns)
            inputs["user_features"] = np.zeros((len(users), width), np.int32) if features is None else features
        return self._score(inputs)

    def rank(self, targets: Targets, k: int = 10, *, among: np.ndarray | None = None) -> Ranking:
        """Rank every target among all items its user has not seen; see `tfllmrec.evaluation.rank_targets`."""
        self.require_fitted()
        return rank_targets(self.score, targets, self.history_length, k=k, among=among)

    def evaluate(self, targets: Targets, k: int = 10, *, among: np.ndarray | None = None) -> dict[str, float]:
        """ndcg, recall and the other metrics at k; see `tfllmrec.evaluation.summarise`."""
        return summarise(self.rank(targets, k, among=among), self.catalogue.counts, k)

    def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        user_features: Sequence[Sequence[str]] | None = None,
        exclude_seen: bool = True,
    ) -> pd.DataFrame:
        """The k best items for users, for histories given on the spot, or for both row by row.

        A known user without a given history is served from the stored one, anybody with a history from that, and
        a row with neither from popularity. Unknown ids and "" are nothing.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            k: items a row; fewer come back where fewer are left.
            exclude: item ids that must not come back, one sequence a row.
            user_features: what is told of users, such as "gender=F", instead of what is stored, one sequence a row;
                for models that read it.
            exclude_seen: given and stored items do not come back either.

        Returns:
            Columns row (place of the question), user_id, rank (from 1), item_id, title, score; best first.

        Raises:
            InputError: none of users, histories and features, rows that do not match, k below 1, a string for a
                sequence, features for a model that reads none.
        """
        if k < 1:
            raise InputError(f"recommend: k is {k}, and must be at least 1")
        self.require_fitted()
        asked = questions(users, histories, exclude, user_features)
        told = self.catalogue.features
        if told is None and user_features is not None:
            raise InputError(f"recommend: this {self.family} reads no user_features; leave them out")
        user_indices = self.catalogue.users.lookup(asked.users)
        given, excluded = self._known_items(asked.histories), self._known_items(asked.excluded)
        stored = self.catalogue.histories.take(user_indices)
        read = Histories.where(given.lengths > 0, given, stored)
        hidden = Histories.side_by_side([excluded, given, stored] if exclude_seen else [excluded])
        features = None if told is None else told.lookup(asked.features)
        scores = self.score(user_indices, read.newest(self.history_length), features)
        best, best_scores = top_items(scores, hidden.padded(), min(k, len(self.catalogue.items)))
        return self._as_table(asked.users, best.numpy(), best_scores.numpy())

    def _known_items(self, rows: Sequence[Sequence[str]]) -> Histories:
        """The items of every row as indices, without the unknown ones."""
        found = (self.catalogue.items.lookup(row) for row in rows)
        return Histories.from_rows(row[row > 0] for row in found)

    def _as_table(self, users: Sequence[str], items: np.ndarray, scores: np.ndarray) -> pd.DataFrame:
        """Items and scores [rows, k] with their names, without the places that were left empty."""
        rows, k = items.shape
        table = pd.DataFrame(
            {
                "row": np.repeat(np.arange(rows), k),
                "user_id": np.repeat(np.asarray(users, dtype=object), k),
                "rank": np.tile(np.arange(1, k + 1), rows),
                "item_id": self.catalogue.items.ids(items.ravel()),
                "title": self.catalogue.titles[items.ravel()],
                "score": scores.ravel(),
            }
        )
        return table[items.ravel() > 0].reset_index(drop=True)

    def with_items(self, items: pd.DataFrame) -> Self:
        """This recommender as it was fitted, and with further items, known by their content; nothing is trained.

        Args:
            items: item_id, title and what the family knows items by; those that it has already are passed over.

        Returns:
            A recommender of its own; the scores of the items before are as they were.

        Raises:
            InputError: no item is new, the table is not as it must be, or the family knows items by their
                interactions alone.
        """
        self.require_fitted()
        items = check_items(items)
        new = items[self.catalogue.items.lookup(items["item_id"]) == 0]
        if new.empty:
            raise InputError(f"items: all {len(items):,} are known to this {self.family} already")
        return self._with_items(new)

    def _with_items(self, new: pd.DataFrame) -> Self:
        """The same, of a checked table without known items."""
        raise InputError(f"a {self.family} knows items by their interactions alone; new ones take training")

    def save(self, folder: str | Path) -> None:
        """Write configuration, catalogue and model to a folder; `tfllmrec.recommenders.load` reads them back."""
        self.require_fitted()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.catalogue.save(folder)
        self.model.save(folder / "model.keras")
        write_description(folder, self.family, self.config.to_dict())  # last: a folder without it is no run

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            InputError: the folder holds no saved recommender of this family.
        """
        folder = Path(folder)
        family, config = read_description(folder)
        if family != cls.family:
            raise InputError(f"{folder} holds a {family}, not a {cls.family}")
        recommender = cls(cls.config_class.from_options(config))
        recommender.catalogue = Catalogue.load(folder)
        with reading(folder / "model.keras") as path:
            recommender.model = keras.saving.load_model(path, safe_mode=True)
            recommender._assemble()
        return recommender
