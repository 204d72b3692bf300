"""Snapshots of recommenders and of stored tensors, for the tests of export precisions."""

import numpy as np
import tensorflow as tf
from small_data import GREEDY

REQUEST = {"user_id": [GREEDY, "用户3", ""], "history": [[""], ["item1"], ["a b|c"]], "exclude_item_ids": [[""]] * 3}


def snapshot(recommender):
    """Return everything that an export could change: dtype policies, outputs and weights."""
    models = recommender.built.all_served
    layers = [layer for model in models for layer in model._flatten_layers()]
    weights = [weight.numpy() for model in models for weight in model.weights]
    table = recommender.recommend(["用户3"], [["item1"]], k=5)
    ranks_texts = hasattr(recommender, "score_texts")
    texts = recommender.score_texts([["a film"]], [["Title of item2", "film 3"]]) if ranks_texts else []
    return {
        "policies": [layer.dtype_policy.name for layer in layers],
        "outputs": [table["item_id"].tolist(), table["score"].to_numpy(), *texts],
        **{str(index): weight for index, weight in enumerate(weights)},
    }


def assert_unchanged(recommender, before):
    """Check that a recommender equals its snapshot from before the export."""
    after = snapshot(recommender)
    assert after.keys() == before.keys()
    for name, expected in before.items():
        for actual_part, expected_part in zip(after[name], expected, strict=True):
            np.testing.assert_array_equal(actual_part, expected_part, err_msg=name)


def stored_specs(path):
    """Return {name: (dtype, shape)} of the numeric tensors in the checkpoint of a SavedModel."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    dtypes, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    return {name: (dtype, tuple(shapes[name])) for name, dtype in dtypes.items() if dtype != tf.string}


def as_tensors(inputs):
    """Convert the inputs of a signature to tensors."""
    return {name: tf.constant(value) for name, value in inputs.items()}
