"""Generated valid requests: their outputs equal those in this process."""

import base64

import numpy as np
from generated_inputs import KNOWN, assert_equal_in_process, example_count, valid_inputs
from hypothesis import given
from hypothesis import strategies as st

SELECTORS = st.sampled_from(
    [
        ({}, 2),
        ({"version": {"value": 1}}, 1),
        ({"version": {"value": 2}}, 2),
        ({"version_label": "stable"}, 1),
        ({"version_label": "canary"}, 2),
    ]
)


@example_count(250)
@given(valid_inputs(), SELECTORS, st.booleans())
def test_outputs_equal_those_in_process(server, models, request_inputs, selector, filtered):
    signature, inputs = request_inputs
    spec, version = selector
    names = list(models.in_process["films", version].signature(signature).outputs)
    outputs = server.predict(signature, names[:1] if filtered else (), {"name": "films"} | spec, **inputs)
    assert list(outputs) == names[:1] or (outputs.keys() == set(names) and not filtered)
    assert {len(values) for values in outputs.values()} == {len(next(iter(inputs.values())))}
    assert_equal_in_process(models, version, signature, inputs, outputs)


PATHS = st.sampled_from(
    [
        ("films", 2),
        ("films/versions/1", 1),
        ("films/versions/2", 2),
        ("films/labels/stable", 1),
        ("films/labels/canary", 2),
    ]
)


@example_count(250)
@given(valid_inputs(ids=KNOWN | st.text(max_size=8), minimum=1), PATHS, st.booleans(), st.booleans())
def test_outputs_over_rest_equal_those_in_process(server, models, request_inputs, path, in_rows, in_base64):
    signature, inputs = request_inputs
    encoded = {name: encode(values) for name, values in inputs.items()}
    columns = {
        name: as_base64(encoded[name]) if in_base64 and values.dtype == object else values.tolist()
        for name, values in inputs.items()
    }
    key, response_key = ("instances", "predictions") if in_rows else ("inputs", "outputs")
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    body = {"signature_name": signature, key: rows if in_rows else columns}
    status, content = server.http(f"/v1/models/{path[0]}:predict", body)
    assert (status, content.keys()) == (200, {response_key}), content
    names = list(models.in_process["films", path[1]].signature(signature).outputs)
    results = content[response_key]
    if len(names) == 1:
        results = {names[0]: results}
    elif in_rows:
        results = {name: [row[name] for row in results] for name in names}
    assert results.keys() == set(names)
    dtypes = {"item_ids": object, "titles": object, "items": np.int32}
    outputs = {name: encode(np.array(values, dtypes.get(name, np.float32))) for name, values in results.items()}
    assert_equal_in_process(models, path[1], signature, encoded, outputs)


def encode(values):
    return np.vectorize(str.encode, otypes=[object])(values) if values.dtype == object else values


def as_base64(values):
    return np.vectorize(lambda value: {"b64": base64.b64encode(value).decode()}, otypes=[object])(values).tolist()
