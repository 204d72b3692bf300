"""A family is a class and a line in the registry: a toy family passes the contract, is exported and is served."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from cpp_runtime import CppRuntime
from models.contract import *  # noqa: F403
from pydantic.dataclasses import dataclass

from tfllmrec import Recommender
from tfllmrec.data import Dataset
from tfllmrec.errors import InputError
from tfllmrec.export import export
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.layers.scoring import scoring_inputs
from tfllmrec.models.base.built_models import BuiltModels
from tfllmrec.models.base.config import STRICT, Config, given_options
from tfllmrec.models.base.fallback import popularity_scores
from tfllmrec.models.base.signature import HISTORY, Core, Input, OutputKind, Outputs, Signature
from tfllmrec.models.registry import FAMILIES
from tfllmrec.serving import Client, ServerProcess


@dataclass(frozen=True, config=STRICT)
class ToyConfig(Config):
    """The options of `Toy`."""


class Toy(Recommender):
    """Score items by popularity, and count the items of a history in a signature of its own."""

    family = "toy"
    config_class = ToyConfig

    def __init__(
        self, *, history_length: int | None = None, seed: int | None = None, config: ToyConfig | None = None
    ) -> None:
        super().__init__(config, given_options(locals()))

    def _fit(self, train: Dataset, *_: Any) -> tuple[BuiltModels, dict[str, list[float]]]:
        inputs = scoring_inputs(self.config.history_length)
        return self._restore(keras.Model(inputs, popularity_scores(self.fitted_data, inputs))), {}

    def _restore(self, model: keras.Model, folder: Path | None = None) -> BuiltModels:
        return BuiltModels(model=model, scorer=model, history_length=self.config.history_length)

    def signatures(self, top_k: int) -> list[Signature]:
        core = Core("count", count, (HISTORY,), self.history_length)
        return [
            *super().signatures(top_k),
            Signature("count", core, {"counts": OutputKind.SCORES}, "Items of a history."),
        ]


def count(inputs: dict[str, tf.Tensor]) -> Outputs:
    return {"counts": tf.reduce_sum(tf.cast(inputs["history"] > 0, tf.float32), axis=1, keepdims=True)}


@pytest.fixture(scope="module", autouse=True)
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "toy", f"{__name__}:Toy")
        yield


@pytest.fixture(scope="module")
def fitted(data: Dataset) -> Recommender:
    return Toy(history_length=4).fit(data)


@pytest.fixture(scope="module")
def folder(fitted: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy") / "run"
    fitted.save(folder)
    return folder


@pytest.fixture(scope="module")
def exported(fitted: Recommender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(fitted, tmp_path_factory.mktemp("export") / "toys")


def test_the_command_line_lists_it(run: Any, tmp_path: Path) -> None:
    status, _, errors = run("train", "unregistered", "--data", "demo", "--out", tmp_path / "run")
    assert status == 2
    assert ", toy" in errors


def test_the_export_runs_in_the_cpp_runtime(exported: Path, fitted: Recommender) -> None:
    with CppRuntime() as runtime:
        assert set(runtime.check(exported).values()) == {"ok"}
        outputs = runtime.run(
            exported, "retrieve", user_id=["用户3"], history=[["item0"]], exclude_item_ids=[["item1"]]
        )
        counts = runtime.run(exported, "count", history=[["item0", "unheard of", "item3"], ["", "", ""]])["counts"]
    table = fitted.recommend(["用户3"], [["item0"]], k=99, exclude=[["item1"]])
    assert [item for item in outputs["item_ids"][0] if item] == table["item_id"].tolist()
    np.testing.assert_array_equal(counts, [[2], [0]])


def test_card_and_warm_up_include_its_signature(exported: Path) -> None:
    card = (exported / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    assert "### count\n\nItems of a history.\n" in card
    assert b"count" in (exported / WARMUP_FILE).read_bytes()


def test_the_client_calls_its_signature(exported: Path) -> None:
    with ServerProcess(exported.parent) as server, Client(server.grpc_address, "toys") as client:
        outputs = client.predict("count", {"history": [["item0", "item3"], ["", "item1"]]})
    np.testing.assert_array_equal(outputs["counts"], [[2], [1]])


def test_an_input_of_an_unknown_kind_is_refused(
    fitted: Recommender, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mood: Any = "mood"
    wrong = Signature("moody", Core("moody", count, (Input(mood),), 4), {"counts": OutputKind.SCORES}, "Refused.")
    monkeypatch.setattr(Toy, "signatures", lambda self, top_k: [*Recommender.signatures(self, top_k), wrong])
    sentence = "^export: input mood of signature moody has unknown kind 'mood': choose one of user, history, "
    with pytest.raises(InputError, match=sentence):
        export(fitted, tmp_path / "toys")
    assert not list((tmp_path / "toys").glob("*"))
