"""BatchingParameters: TF Serving's text format, defaults and valid values."""

import os
from dataclasses import asdict

import pytest

from tfllmrec.errors import InputError
from tfllmrec.serving.batching_parameters import BatchingParameters

ALL = """
# a comment
max_batch_size { value: 64 }
batch_timeout_micros { value: 1500 }
max_enqueued_batches { value: 7 }
num_batch_threads { value: 3 }
thread_pool_name { value: "films" }
allowed_batch_sizes: 8
allowed_batch_sizes: 32
allowed_batch_sizes: 64
pad_variable_length_inputs: true
"""
SPLITTING = """
max_batch_size { value: 64 }
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 16 }
allowed_batch_sizes: [4, 16]
"""


@pytest.fixture
def from_text(tmp_path):
    """Return a function that reads BatchingParameters from a text."""

    def read(text):
        path = tmp_path / "batching.txt"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return BatchingParameters.from_file(path)

    return read


def test_every_field_is_read(from_text):
    assert from_text(ALL) == BatchingParameters(
        max_batch_size=64,
        batch_timeout_micros=1500,
        max_enqueued_batches=7,
        num_batch_threads=3,
        allowed_batch_sizes=(8, 32, 64),
        pad_variable_length_inputs=True,
    )


def test_splitting_is_read_from_the_wrapper_messages_of_tf_serving(from_text):
    # session_bundle_config.proto: google.protobuf.BoolValue enable_large_batch_splitting = 8
    assert from_text(SPLITTING) == BatchingParameters(
        max_batch_size=64,
        enable_large_batch_splitting=True,
        max_execution_batch_size=16,
        allowed_batch_sizes=(4, 16),
    )


def test_splitting_can_be_disabled(from_text):
    assert not from_text("enable_large_batch_splitting { value: false }").enable_large_batch_splitting


@pytest.mark.parametrize(
    "text", ["", "# nothing", "batch_timeout_micros { value: 0 }", "pad_variable_length_inputs: false"]
)
def test_defaults_equal_those_of_tf_serving(from_text, text):
    assert asdict(from_text(text)) == {
        "max_batch_size": 1000,
        "batch_timeout_micros": 0,
        "max_enqueued_batches": 10,
        "num_batch_threads": os.cpu_count(),
        "allowed_batch_sizes": (),
        "pad_variable_length_inputs": False,
        "enable_large_batch_splitting": False,
        "max_execution_batch_size": None,
    }


@pytest.mark.parametrize(
    "text",
    [
        "max_batch_size: 4",
        "max_batch_size { value: 4",
        "max_batch_size { value: 1.5 }",
        'max_batch_size { value: "4" }',
        "max_batch_size { number: 4 }",
        "max_batch_size { value: 4 } max_batch_size { value: 5 }",
        "max_batch_size { value: 9223372036854775808 }",
        "batch_size { value: 4 }",
        "pad_variable_length_inputs: 2",
        "{}",
        b"\xff\xfe",
    ],
)
def test_an_invalid_text_is_refused(from_text, text):
    with pytest.raises(InputError, match=r"Error parsing text-format tensorflow\.serving\.BatchingParameters: "):
        from_text(text)


@pytest.mark.parametrize(
    ("name", "minimum"),
    [("max_batch_size", 1), ("batch_timeout_micros", 0), ("max_enqueued_batches", 1), ("num_batch_threads", 1)],
)
def test_a_number_below_its_minimum_is_refused(from_text, name, minimum):
    assert getattr(BatchingParameters(**{name: minimum}), name) == minimum
    for value in (minimum - 1, -5):
        with pytest.raises(InputError, match=f"{name} must be at least {minimum}, not {value}"):
            BatchingParameters(**{name: value})
        with pytest.raises(InputError, match=f"{name} must be at least {minimum}, not {value}"):
            from_text(f"{name} {{ value: {value} }}")


@pytest.mark.parametrize("size", [0, -1, 9])
def test_max_execution_batch_size_is_at_most_max_batch_size(size):
    with pytest.raises(InputError, match=f"max_execution_batch_size must be between 1 and max_batch_size, not {size}"):
        BatchingParameters(max_batch_size=8, enable_large_batch_splitting=True, max_execution_batch_size=size)
    assert BatchingParameters(max_batch_size=8, max_execution_batch_size=size).largest_execution == 8


@pytest.mark.parametrize(
    ("splitting", "execution", "largest"),
    [(False, None, 8), (False, 4, 8), (True, None, 8), (True, 4, 4), (True, 8, 8)],
)
def test_allowed_sizes_end_at_the_largest_batch(splitting, execution, largest):
    options = {
        "max_batch_size": 8,
        "enable_large_batch_splitting": splitting,
        "max_execution_batch_size": execution,
    }
    parameters = BatchingParameters(**options, allowed_batch_sizes=(1, 2, largest))
    assert parameters.largest_execution == largest
    for last in (largest - 1, largest + 1):
        with pytest.raises(InputError, match=f"must ascend and end at {largest}"):
            BatchingParameters(**options, allowed_batch_sizes=(1, 2, last))


@pytest.mark.parametrize("sizes", [(4, 2, 8), (2, 2, 8), (8, 8), (0, 8), (-1, 8), (8, 4), (16,)])
def test_allowed_sizes_that_do_not_ascend_are_refused(from_text, sizes):
    with pytest.raises(InputError, match="must ascend and end at 8"):
        BatchingParameters(max_batch_size=8, allowed_batch_sizes=sizes)
    with pytest.raises(InputError, match="must ascend and end at 8"):
        from_text("max_batch_size { value: 8 } " + " ".join(f"allowed_batch_sizes: {size}" for size in sizes))


@pytest.mark.parametrize(
    ("sizes", "padded"),
    [
        ((), {1: 1, 5: 5, 8: 8}),
        ((8,), {1: 8, 8: 8}),
        ((1, 4, 8), {1: 1, 2: 4, 3: 4, 4: 4, 5: 8, 8: 8}),
    ],
)
def test_a_batch_is_padded_to_the_next_allowed_size(sizes, padded):
    parameters = BatchingParameters(max_batch_size=8, allowed_batch_sizes=sizes)
    assert {rows: parameters.allowed_size(rows) for rows in padded} == padded


def test_parameters_are_immutable():
    with pytest.raises(AttributeError):
        BatchingParameters().max_batch_size = 3
