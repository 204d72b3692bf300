"""Hypothesis strategies of valid inputs for the signatures of `films`."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from small_data import EVERYTHING, GREEDY, ITEMS

SIGNATURES = {
    "": {"user_id": "users", "history": "items", "exclude_item_ids": "items"},
    "serving_default": {"user_id": "users", "history": "items", "exclude_item_ids": "items"},
    "retrieve": {"user_id": "users", "history": "items", "exclude_item_ids": "items"},
    "retrieve_ids": {"user": "index", "history": "four", "exclude": "indices"},
    "embed_query": {"user_id": "users", "history": "items"},
    "embed_items": {"item_ids": "item"},
    "similar_items": {"item_id": "item", "exclude_item_ids": "items"},
}
WIDTHS = {"item_ids": 10, "titles": 10, "scores": 10, "items": 10, "embedding": 8, "embeddings": 8}
KNOWN = st.sampled_from([*ITEMS, *(f"用户{number}" for number in range(18)), GREEDY, EVERYTHING, ""])
ANY_ID = KNOWN.map(str.encode) | st.text(max_size=8).map(str.encode) | st.binary(max_size=8)
INDEX = st.integers(-2, 20) | st.integers(-(2**31), 2**31 - 1)


def example_count(count):
    """Return settings for a number of examples, which are the same in every run."""
    suppressed = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(
        max_examples=count, database=None, derandomize=True, deadline=None, suppress_health_check=suppressed
    )


@st.composite
def valid_inputs(draw, ids=ANY_ID, minimum=0):
    """Draw a signature and its inputs with up to 4 rows and 5 columns.

    Args:
        draw: Hypothesis' function.
        ids: strategy of the ids.
        minimum: minimum number of rows and columns.
    """
    signature = draw(st.sampled_from(list(SIGNATURES)))
    rows = draw(st.integers(minimum, 4))

    def array_of(kind):
        width = 4 if kind == "four" else draw(st.integers(minimum, 5))
        shape = (rows,) if kind in ("users", "item", "index") else (rows, width)
        values, dtype = (ids, object) if kind in ("users", "items", "item") else (INDEX, np.int32)
        array = np.empty(shape, dtype)
        array.flat = draw(st.lists(values, min_size=array.size, max_size=array.size))
        return array

    return signature, {name: array_of(kind) for name, kind in SIGNATURES[signature].items()}


def assert_equal_in_process(models, version, signature, inputs, outputs):
    """Check that outputs equal those of the model in this process and have the shapes of the signature."""
    expected = models.in_process["films", version].run(signature, inputs)
    assert outputs.keys() <= expected.keys()
    for name, values in outputs.items():
        assert values.shape == expected[name].shape
        assert values.shape[-1:] == (WIDTHS[name],)
        if values.dtype == np.float32:
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6)
        else:
            assert values.tolist() == expected[name].tolist()
