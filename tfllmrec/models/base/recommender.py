"""What all families have in common: the same calls, the same rules, the same files."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import keras
import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.data.splits import Targets
from tfllmrec.data.table_checks import check_items
from tfllmrec.errors import InputError
from tfllmrec.models.base.config import Config
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.base.fitting import FitContext
from tfllmrec.models.base.predictor import Predictor
from tfllmrec.models.base.saving import read_description, reading, write_description


class Recommender(Predictor, ABC):
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
        asks_for_scenario: whether it has to be told a scenario, where the data it was fitted on has any.
        scores_are_products: whether the scores are products of a `query_model`'s vectors and an `index`'s.
        config: the configuration the recommender was fitted with (or None before).
        fitted_data: ids, titles and stored histories.
        model: what is trained and saved.
        scorer: the scoring model.
        training_log: what Keras `fit` logged, epoch by epoch; empty for families without epochs, and after loading.
    """

    family: ClassVar[str]
    config_class: ClassVar[type[Config]]
    main_signature: ClassVar[str] = "retrieve"
    asks_for_scenario: ClassVar[bool] = False
    scores_are_products: ClassVar[bool] = False

    config: Any
    fitted_data: FittedData
    model: keras.Model
    scorer: keras.Model
    training_log: Mapping[str, list[float]]

    def __init__(self, config: Config | None = None, **options: Any) -> None:
        if config is not None and options:
            raise InputError(f"{self.family}: give a config or single options, not both")
        self.config_class.from_options(options)  # a wrong option fails here, before any data is read
        self.config = self._given = config
        self._options = options
        self.training_log = {}

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
        self.fitted_data = self._catalogue_of(train)
        keras.utils.set_random_seed(self.config.seed)
        place = None if backup is None else Path(backup)
        self._fit(train, validation, FitContext(list(callbacks), verbose, place))
        return self

    def _catalogue_of(self, train: Dataset) -> FittedData:
        return FittedData.from_dataset(train, self._user_columns, with_scenarios=self.asks_for_scenario)

    @property
    def _user_columns(self) -> tuple[str, ...]:
        """The columns of the user table that the family reads."""
        return ()

    def refit_config(self) -> Config:
        """The configuration to fit with once more on more data, where no validation can decide when to stop."""
        return self.config

    @abstractmethod
    def _fit(self, train: Dataset, validation: Targets | None, fitting: FitContext) -> None:
        """Set `self.model` from the catalogue and the configuration, and `_assemble`."""

    def _build_scorer(self) -> keras.Model:
        """The scoring model, made from `self.model`."""
        return self.model

    def _assemble(self) -> None:
        """What `self.model` needs to answer, after it was built or loaded."""
        self._answer_with(self._build_scorer())

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
        new = items[self.fitted_data.items.lookup(items["item_id"]) == 0]
        if new.empty:
            raise InputError(f"items: all {len(items):,} are known to this {self.family} already")
        return self._with_items(new)

    def _with_items(self, new: pd.DataFrame) -> Self:
        """The same, of a checked table without known items."""
        raise InputError(f"a {self.family} knows items by their interactions alone; new ones take training")

    def save(self, folder: str | Path) -> None:
        """Write configuration, catalogue and model to a folder; `tfllmrec.models.registry.load` reads them back."""
        self.require_fitted()
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.fitted_data.save(folder)
        self._write(folder)
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
        recommender.fitted_data = FittedData.load(folder)
        recommender._read(folder)
        with reading(folder / "model.keras") as path:
            recommender.model = keras.saving.load_model(path, safe_mode=True)
            recommender._assemble()
        return recommender

    def _write(self, folder: Path) -> None:
        """Keep what the family has beside its model."""

    def _read(self, folder: Path) -> None:
        """Read what `_write` kept, before the model is."""
