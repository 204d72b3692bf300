"""Made-up inputs of the films' signatures, for tests of properties."""

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from made_data import GREEDY, ITEMS

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
KNOWN = st.sampled_from([*ITEMS, *(f"用户{number}" for number in range(18)), GREEDY, "everything", ""])
ANY_ID = KNOWN.map(str.encode) | st.text(max_size=8).map(str.encode) | st.binary(max_size=8)
INDEX = st.integers(-2, 20) | st.integers(-(2**31), 2**31 - 1)


def many(count):
    """Settings for so many made-up requests, the same ones every time."""
    quiet = [HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=count, database=None, derandomize=True, deadline=None, suppress_health_check=quiet)


@st.composite
def good_inputs(draw, ids=ANY_ID, least=0):
    """(signature, arrays): 0 to 4 rows, 0 to 5 columns; strings as the strategy makes them."""
    signature = draw(st.sampled_from(list(SIGNATURES)))
    rows = draw(st.integers(least, 4))

    def made(kind):
        width = 4 if kind == "four" else draw(st.integers(least, 5))
        shape = (rows,) if kind in ("users", "item", "index") else (rows, width)
        values, dtype = (ids, object) if kind in ("users", "items", "item") else (INDEX, np.int32)
        array = np.empty(shape, dtype)
        array.flat = draw(st.lists(values, min_size=array.size, max_size=array.size))
        return array

    return signature, {name: made(kind) for name, kind in SIGNATURES[signature].items()}


def assert_as_in_process(models, version, signature, inputs, found):
    """Equal to the model in this process, in the shapes that the signature promises."""
    expected = models.in_process["films", version].run(signature, inputs)
    assert found.keys() <= expected.keys()
    for name, values in found.items():
        assert values.shape == expected[name].shape
        assert values.shape[1:] == (WIDTHS[name],)
        if values.dtype == np.float32:
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values, expected[name], rtol=1e-5, atol=1e-6)
        else:
            assert values.tolist() == expected[name].tolist()
