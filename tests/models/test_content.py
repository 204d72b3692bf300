"""Families that read item content: inputs of the model, and scores of new items."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from small_data import COLD

from tfllmrec import Recommender
from tfllmrec.content.item_tokens import token_matrix, token_vocabulary
from tfllmrec.content.vector_columns import vector_matrix
from tfllmrec.data import Checkerboard, Dataset
from tfllmrec.errors import InputError
from tfllmrec.layers.items import ItemEmbedding
from tfllmrec.models.registry import load_model

Make = Callable[..., Recommender]
NAMES = ["two_tower", "next_item"]
FAMILIES = pytest.mark.parametrize("name", NAMES)
OPTIONS = {
    "two_tower": {"epochs": 12, "dim": 16, "learning_rate": 0.02, "batch_size": 64, "user_vectors": False},
    "next_item": {"epochs": 12, "dim": 16, "units": 16, "learning_rate": 0.02, "batch_size": 8, "warmup": 0},
}
NEW = pd.DataFrame(
    {
        "item_id": ["new even", "i03", "new odd", "no content"],
        "title": ["even item 20", "odd item 3", "odd item 21", "?"],
        "categories": ["even", "odd", "odd", None],
    }
)
"""The second item is known already; the last one has no content."""


def with_images(items: pd.DataFrame, colours: pd.Series) -> pd.DataFrame:
    """Add image vectors that encode the colour of every item but the first, and noise."""
    noise = np.linspace(-0.1, 0.1, len(items))
    images = [[float(c == "even"), float(c == "odd"), n] for c, n in zip(colours, noise, strict=True)]
    return items.assign(image=[None, *images[1:]])


@pytest.fixture(scope="module")
def with_image_vectors(board: Checkerboard) -> Dataset:
    return replace(board.data, items=with_images(board.data.items, board.data.items["categories"]))


@pytest.fixture(scope="module", params=NAMES)
def trained(request: pytest.FixtureRequest, make: Make, with_image_vectors: Dataset) -> Recommender:
    """A family trained on titles, categories and images."""
    options = {**OPTIONS[request.param], "vectors": "image", "id_dropout": 0.1, "modality_dropout": 0.1}
    return make(request.param, **options).fit(with_image_vectors, verbose=0)


def scores_of(recommender: Recommender) -> np.ndarray:
    histories = np.array([[1, 3, 5, 7], [2, 4, 6, 8], [1, 2, 0, 0], [0, 0, 0, 0]], np.int32)
    return recommender.score(np.array([0, 0, 3, 0], np.int32), histories).numpy()


def new_scores(recommender: Recommender, history: list[str]) -> pd.Series:
    table = recommender.recommend(histories=[history], k=99)
    return table.set_index("item_id")["score"]


@pytest.mark.usefixtures("untrained")
@FAMILIES
def test_options_reach_the_item_embedding(name: str, make: Make, with_image_vectors: Dataset) -> None:
    options = {"content": True, "vectors": "image", "token_std": 0.3, "id_dropout": 0.4, "modality_dropout": 0.2}
    items = make(name, **options, epochs=1).fit(with_image_vectors, verbose=0).model.get_layer("items")
    np.testing.assert_array_equal(items.vectors["image"], vector_matrix(with_image_vectors.items, "image"))
    tokens = token_matrix(with_image_vectors.items, token_vocabulary(with_image_vectors.items))
    assert items.token_count == tokens.shape[1] > 0
    np.testing.assert_array_equal(items.token_indices, np.stack(tokens.nonzero(), axis=1))
    assert (items.token_std, items.id_dropout, items.modality_dropout) == (0.3, 0.4, 0.2)
    items = make(name, content=False, epochs=1).fit(with_image_vectors, verbose=0).model.get_layer("items")
    assert [weight.name for weight in items.weights] == ["id_vectors"]


@pytest.mark.parametrize("name", [*NAMES, "multi_task"])
def test_a_training_step_is_traced_once_with_one_item_table(
    name: str, make: Make, with_image_vectors: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps, table = [], ItemEmbedding.table

    def counted(layer: ItemEmbedding, training: bool = False) -> tf.Tensor:
        if training:
            steps.append(tf.compat.v1.get_default_graph())
        return table(layer, training)

    monkeypatch.setattr(ItemEmbedding, "table", counted)
    make(name, epochs=1).fit(with_image_vectors, verbose=0)
    assert steps
    assert len(steps) == len(set(steps))
    assert len(steps) == 1  # the step is traced once


@FAMILIES
def test_a_missing_vector_column_is_refused(name: str, make: Make, board: Checkerboard) -> None:
    with pytest.raises(InputError, match="items: column image is missing; the table has item_id, title, categories"):
        make(name, vectors=["image"]).fit(board.data)


@FAMILIES
@pytest.mark.parametrize("content", [True, False])
def test_id_embeddings_of_cold_items_stay_zero(name: str, content: bool, make: Make, data: Dataset) -> None:
    recommender = make(name, content=content, weight_decay=0.1).fit(data, verbose=0)
    cold = data.item_vocabulary.lookup([COLD])
    own = recommender.model.get_layer("items").id_vectors.numpy()
    np.testing.assert_array_equal(own[cold], 0)
    assert (own[np.flatnonzero(data.item_counts)] != 0).all()
    if name == "next_item":
        biases = recommender.index.biases.numpy()
        assert biases[cold] == 0
        assert np.count_nonzero(biases) == np.count_nonzero(data.item_counts)


def test_new_items_are_scored_by_their_content(trained: Recommender, board: Checkerboard) -> None:
    grown = trained.with_items(with_images(NEW, NEW["categories"]))
    for colour, other, history in (("even", "odd", ["i00", "i02", "i04"]), ("odd", "even", ["i01", "i03", "i05"])):
        scores = new_scores(grown, history)
        assert scores[f"new {colour}"] > scores[f"new {other}"]
        known_others = [f"i{number:02}" for number in range(colour == "even", 20, 2)]
        assert scores[f"new {colour}"] > scores[known_others].max()
    assert {"new even", "new odd", "no content"} <= set(scores.index)


def test_scores_of_known_items_are_unchanged_by_new_items(trained: Recommender) -> None:
    grown = trained.with_items(with_images(NEW, NEW["categories"]))
    np.testing.assert_array_equal(scores_of(grown)[:, 1:21], scores_of(trained)[:, 1:])
    assert np.isfinite(scores_of(grown)).all()
    assert len(trained.fitted_data.items) == 20
    assert grown.fitted_data.items.tokens[21:].tolist() == ["new even", "new odd", "no content"]
    assert grown.fitted_data.titles[21:].tolist() == ["even item 20", "odd item 21", "?"]
    assert grown.fitted_data.counts[21:].tolist() == [0, 0, 0]


def test_items_can_be_added_after_loading_and_repeatedly(trained: Recommender, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    new = with_images(NEW, NEW["categories"])
    grown = load_model(tmp_path / "run").with_items(new)
    np.testing.assert_array_equal(scores_of(grown), scores_of(trained.with_items(new)))
    grown.save(tmp_path / "grown")
    again = load_model(tmp_path / "grown").with_items(new.assign(item_id=["a", "b", "i01", "new even"]))
    assert again.fitted_data.items.tokens[21:].tolist() == ["new even", "new odd", "no content", "a", "b"]
    np.testing.assert_allclose(scores_of(again)[:, :24], scores_of(grown), rtol=1e-5, atol=1e-6)


def test_columns_of_new_items_are_checked_and_may_be_empty(trained: Recommender) -> None:
    without_images = trained.with_items(NEW.assign(image=None))
    assert np.isfinite(scores_of(without_images)).all()
    for bad, sentence in (
        (NEW, "items: column image is missing; the table has item_id, title, categories"),
        (NEW.assign(image=[[1.0, 2.0]] * 4), "items: vectors of column image have length 2 and must have 3"),
        (NEW.drop(columns="title"), "items: column title is missing; the table has item_id, categories"),
        (NEW[1:2].assign(image=None), f"items: all 1 are known to this {trained.family} already"),
        (pd.concat([NEW, NEW]).assign(image=None), None),
    ):
        with pytest.raises(InputError) as error:
            trained.with_items(bad)
        assert sentence is None or str(error.value) == sentence


@pytest.mark.usefixtures("untrained")
@FAMILIES
def test_new_items_are_refused_without_content(name: str, make: Make, board: Checkerboard) -> None:
    recommender: Any = make(name, content=False, epochs=1).fit(board.data, verbose=0)
    with pytest.raises(InputError, match=f"^this {name} scores items by their interactions alone; fit it with con"):
        recommender.with_items(NEW)


@pytest.mark.parametrize("name", ["popularity", "markov_chain", "ease"])
def test_new_items_are_refused_by_families_without_content(name: str, make: Make, board: Checkerboard) -> None:
    with pytest.raises(InputError, match=f"^a {name} scores items by their interactions alone; fit it on data "):
        make(name).fit(board.data).with_items(NEW)


def test_damaged_tokens_are_refused(trained: Recommender, tmp_path: Path) -> None:
    trained.save(tmp_path)
    (tmp_path / "tokens.json").write_text("[1")
    with pytest.raises(InputError, match=r"tokens\.json is missing or damaged$"):
        load_model(tmp_path)
