"""What is looked at of exports in other precisions."""

import numpy as np
import tensorflow as tf
from small_data import GREEDY

QUESTION = {"user_id": [GREEDY, "用户3", ""], "history": [[""], ["item1"], ["a b|c"]], "exclude_item_ids": [[""]] * 3}


def state_of(recommender):
    """All that an export could change: weights, what layers compute in, answers."""
    models = recommender.built.all_served
    layers = [layer for model in models for layer in model._flatten_layers()]
    weights = [weight.numpy() for model in models for weight in model.weights]
    table = recommender.recommend(["用户3"], [["item1"]], k=5)
    ranks_texts = hasattr(recommender, "score_texts")
    texts = recommender.score_texts([["a film"]], [["Title of item2", "film 3"]]) if ranks_texts else []
    return {
        "policies": [layer.dtype_policy.name for layer in layers],
        "answers": [table["item_id"].tolist(), table["score"].to_numpy(), *texts],
        **{str(place): weight for place, weight in enumerate(weights)},
    }


def assert_untouched(recommender, before):
    now = state_of(recommender)
    assert now.keys() == before.keys()
    for name, value in before.items():
        for one, other in zip(now[name], value, strict=True):
            np.testing.assert_array_equal(one, other, err_msg=name)


def stored(path):
    """{name: (dtype, shape)} of the numbers in a SavedModel's checkpoint."""
    reader = tf.train.load_checkpoint(str(path / "variables" / "variables"))
    dtypes, shapes = reader.get_variable_to_dtype_map(), reader.get_variable_to_shape_map()
    return {name: (dtype, tuple(shapes[name])) for name, dtype in dtypes.items() if dtype != tf.string}


def map_constants(inputs):
    return {name: tf.constant(value) for name, value in inputs.items()}
