"""Made-up requests that are right: they are answered as in this process."""

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from made_up_inputs import KNOWN, assert_as_in_process, good_inputs, many

CHOICES = st.sampled_from(
    [
        ({}, 2),
        ({"version": {"value": 1}}, 1),
        ({"version": {"value": 2}}, 2),
        ({"version_label": "stable"}, 1),
        ({"version_label": "canary"}, 2),
    ]
)


@many(250)
@given(good_inputs(), CHOICES, st.booleans())
def test_right_requests_are_answered_as_in_process(server, models, asked, choice, filtered):
    signature, inputs = asked
    spec, version = choice
    outputs = list(models.in_process["films", version].signature(signature).outputs)
    found = server.predict(signature, outputs[:1] if filtered else (), {"name": "films"} | spec, **inputs)
    assert list(found) == outputs[:1] or (found.keys() == set(outputs) and not filtered)
    assert {len(values) for values in found.values()} == {len(next(iter(inputs.values())))}
    assert_as_in_process(models, version, signature, inputs, found)


PATHS = st.sampled_from(
    [
        ("films", 2),
        ("films/versions/1", 1),
        ("films/versions/2", 2),
        ("films/labels/stable", 1),
        ("films/labels/canary", 2),
    ]
)


@many(250)
@given(good_inputs(ids=KNOWN | st.text(max_size=8), least=1), PATHS, st.booleans(), st.booleans())
def test_right_bodies_are_answered_as_in_process(server, models, asked, path, in_rows, in_base64):
    signature, inputs = asked
    encoded = {name: encode(values) for name, values in inputs.items()}
    told = {
        name: as_base64(encoded[name]) if in_base64 and values.dtype == object else values.tolist()
        for name, values in inputs.items()
    }
    key, answer_key = ("instances", "predictions") if in_rows else ("inputs", "outputs")
    rows = [dict(zip(told, row, strict=True)) for row in zip(*told.values(), strict=True)]
    body = {"signature_name": signature, key: rows if in_rows else told}
    status, answer = server.http(f"/v1/models/{path[0]}:predict", body)
    assert (status, answer.keys()) == (200, {answer_key}), answer
    outputs = list(models.in_process["films", path[1]].signature(signature).outputs)
    columns = answer[answer_key]
    if len(outputs) == 1:
        columns = {outputs[0]: columns}
    elif in_rows:
        columns = {name: [row[name] for row in columns] for name in outputs}
    assert columns.keys() == set(outputs)
    dtypes = {"item_ids": object, "titles": object, "items": np.int32}
    found = {name: encode(np.array(values, dtypes.get(name, np.float32))) for name, values in columns.items()}
    assert_as_in_process(models, path[1], signature, encoded, found)


def encode(values):
    return np.vectorize(str.encode, otypes=[object])(values) if values.dtype == object else values


def as_base64(values):
    return np.vectorize(lambda one: {"b64": base64.b64encode(one).decode()}, otypes=[object])(values).tolist()
