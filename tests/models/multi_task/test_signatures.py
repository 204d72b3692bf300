"""Signatures that the multi-task family declares; their cores agree with the calls in Python."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from tfllmrec import MultiTask
from tfllmrec.data import Dataset
from tfllmrec.models.base.signature import InputKind, OutputKind, Signature

USERS = ["u10", "u11", "unknown"]


def by_name(model: MultiTask) -> dict[str, Signature]:
    return {signature.name: signature for signature in model.signatures(5)}


def kinds(signature: Signature) -> list[InputKind]:
    return [spec.kind for spec in signature.request]


def inputs_of(model: MultiTask, scenario: int | None = None) -> dict[str, Any]:
    """Return the users with their stored histories."""
    users = model.fitted_data.users.lookup(USERS)
    inputs = {"user": users, "history": model.fitted_data.histories.take(users).most_recent(model.history_length)}
    if scenario is not None:
        inputs["scenario"] = np.full(len(users), scenario, np.int32)
    return {name: tf.constant(value) for name, value in inputs.items()}


def test_signatures_of_a_model_with_scenarios(shopper: MultiTask) -> None:
    signatures = by_name(shopper)
    assert set(signatures) == {"recommend", "rank", "embed_items", "similar_items", "interests"}
    user, history, scenario = InputKind.USER, InputKind.HISTORY, InputKind.SCENARIO
    assert kinds(signatures["recommend"]) == [user, history, InputKind.EXCLUDED, scenario]
    assert kinds(signatures["rank"]) == [user, history, InputKind.CANDIDATES, scenario]
    assert kinds(signatures["interests"]) == [user, history, scenario]
    assert set(signatures["rank"].outputs) == {"scores", "ratings", "likes", "scenario_known"}
    flags = {"scenario_known": OutputKind.FLAGS}
    assert signatures["interests"].outputs == {"labels": OutputKind.LABELS, "scores": OutputKind.SCORES} | flags


def test_signatures_of_a_model_without_scenarios(shop: Dataset, quick: dict[str, Any]) -> None:
    data = Dataset.from_frames(shop.interactions.drop(columns="scenario"))
    model = MultiTask(tasks="next_item", **{**quick, "epochs": 1}).fit(data, verbose=0)
    signatures = by_name(model)
    assert set(signatures) == {"retrieve", "rank", "embed_items", "similar_items"}
    assert signatures["retrieve"].aliases == ("recommend",)
    assert kinds(signatures["rank"]) == [InputKind.USER, InputKind.HISTORY, InputKind.CANDIDATES]
    assert set(signatures["rank"].outputs) == {"scores"}


def test_interests_core_agrees_with_python(shopper: MultiTask) -> None:
    signature = by_name(shopper)["interests"]
    outputs = signature.core.call(inputs_of(shopper, scenario=2))
    table = shopper.interests(USERS, scenarios=["films"] * 3)
    assert signature.labels is not None
    assert signature.labels.ids(outputs["labels"].numpy().ravel()).tolist() == table["label"].tolist()
    np.testing.assert_allclose(outputs["scores"].numpy().ravel(), table["score"], rtol=1e-5)
    assert outputs["scenario_known"].numpy().all()
    assert not signature.core.call(inputs_of(shopper, scenario=0))["scenario_known"].numpy().any()


def test_texts_are_an_option(shop: Dataset, quick: dict[str, Any], tiny_bert: Path) -> None:
    texts = np.where(shop.interactions["user_id"] == "u10", "film", "")
    data = Dataset.from_frames(shop.interactions.drop(columns="scenario").assign(text=texts), shop.items)
    options = {**quick, "epochs": 2, "backbone": str(tiny_bert)}
    model = MultiTask(tasks="next_item,interests", **options).fit(data, verbose=0)
    signatures = by_name(model)
    short, full = signatures["interests"], signatures["interests_with_options"]
    assert kinds(short) == [InputKind.USER, InputKind.HISTORY]
    assert kinds(full) == [*kinds(short), InputKind.TEXTS]
    assert full.aliases == ("interests_with_texts",)
    assert short.core is full.core
    inputs, encoder = inputs_of(model), full.request[-1].encoder
    assert encoder is not None
    for texts in (None, [["film 电影"], ["", " "], ["花样"]]):
        strings = None if texts is None else tf.ragged.constant(texts).to_tensor("")
        outputs = full.core.call({**inputs, "texts": encoder(strings, inputs["user"])})
        table = model.interests(USERS, texts=texts)
        assert model.labels.ids(outputs["labels"].numpy().ravel()).tolist() == table["label"].tolist()
        np.testing.assert_allclose(outputs["scores"].numpy().ravel(), table["score"], rtol=1e-5)


@pytest.mark.parametrize("scenario", [1, 2])
def test_rank_core_agrees_with_python(shopper: MultiTask, scenario: int) -> None:
    items = ["books 1", "films 1", "unknown"]
    candidates = np.tile(shopper.fitted_data.items.lookup(items), (3, 1)).astype(np.int32)
    outputs = by_name(shopper)["rank"].core.call(
        {**inputs_of(shopper, scenario), "candidates": tf.constant(candidates)}
    )
    names = shopper.fitted_data.scenarios.ids(np.full(3, scenario)).tolist()
    scores = shopper.rank([items] * 3, USERS, scenarios=names)
    np.testing.assert_allclose(outputs["scores"], scores, rtol=1e-5)
