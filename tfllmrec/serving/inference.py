"""Classify, Regress and MultiInference: signatures that read serialised `tf.Example`s, such as those of estimators."""

from typing import Any

import grpc
import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tfllmrec.serving.core import ServerCore
from tfllmrec.serving.session import DEFAULT_SIGNATURE
from tfllmrec.serving.signature import Signature
from tfllmrec_client.status import RequestError, invalid

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_EXAMPLES, _CLASSES, _SCORES, _VALUES = "inputs", "classes", "scores", "outputs"
_NOT_FOUND = "No signature was found with the name: {}"


def classify(core: ServerCore, spec: Any, examples: Any, deadline: float | None = None) -> tuple[Any, Any]:
    """Return the labels and scores of each example.

    As in TF Serving, the signature may have any method name: those of TensorFlow 2 are all named predict.

    Args:
        core: operations of the server.
        spec: a `ModelSpec` with a signature that has the input `inputs`, and the outputs `classes`, `scores` or both.
        examples: an `Input`.
        deadline: as in `ServerCore.predict`.

    Returns:
        The `ModelSpec` of the version that ran, and a `ClassificationResult`.

    Raises:
        RequestError: INVALID_ARGUMENT, if there are no examples, or the signature has other inputs or outputs. Else as
            in `ServerCore.predict`.
    """
    _check_classifier(requested_signature(core, spec, _NOT_FOUND))
    inputs = _serialised(examples)
    resolved, outputs = core.predict(spec, {_EXAMPLES: inputs}, deadline=deadline)
    labels, scores = outputs.get(_CLASSES), outputs.get(_SCORES)
    for name, array, kind in ((_CLASSES, labels, "O"), (_SCORES, scores, "f")):
        if array is not None:
            _check_output(name, array, kind, len(inputs))
    shape = next(array.shape for array in (labels, scores) if array is not None)
    labels = np.full(shape, b"", object) if labels is None else labels
    scores = np.zeros(shape, np.float32) if scores is None else scores
    if labels.shape != scores.shape:
        sizes = f"{labels.shape[1]} vs. {scores.shape[1]}"
        raise invalid(f"Tensors class and score should match in dim_size(1). Got {sizes}")
    rows = zip(labels.tolist(), scores.tolist(), strict=True)
    classifications = [
        {"classes": [{"label": label, "score": score} for label, score in zip(*row, strict=True)]} for row in rows
    ]
    return resolved, classification_pb2.ClassificationResult(classifications=classifications)


def regress(core: ServerCore, spec: Any, examples: Any, deadline: float | None = None) -> tuple[Any, Any]:
    """Return the value of each example.

    Args:
        core: operations of the server.
        spec: a `ModelSpec` with a signature that has the input `inputs` and the output `outputs`.
        examples: an `Input`.
        deadline: as in `ServerCore.predict`.

    Returns:
        The `ModelSpec` of the version that ran, and a `RegressionResult`.

    Raises:
        RequestError: As in `classify`.
    """
    _check_regressor(requested_signature(core, spec, _NOT_FOUND))
    inputs = _serialised(examples)
    resolved, outputs = core.predict(spec, {_EXAMPLES: inputs}, deadline=deadline)
    values = outputs[_VALUES]
    if values.ndim != 1 and values.shape[1:] != (1,):
        shapes = f"[batch_size] or [batch_size, 1] but got {list(values.shape)}"
        raise invalid(f"Expected output Tensor shape to be either {shapes}")
    if len(values) != len(inputs):
        raise invalid(f"Input batch size did not match output batch size: {len(inputs)} vs. {len(values)}")
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {values.dtype}")
    return resolved, regression_pb2.RegressionResult(regressions=[{"value": value} for value in values.ravel()])


def multi_inference(core: ServerCore, tasks: Any, examples: Any, deadline: float | None = None) -> Any:
    """Run several signatures of one model on the same examples.

    Args:
        core: operations of the server.
        tasks: `InferenceTask`s, each with a `ModelSpec` and a method.
        examples: an `Input`.
        deadline: as in `ServerCore.predict`.

    Returns:
        A `MultiInferenceResponse` with the results in the order of the tasks.

    Raises:
        RequestError: INVALID_ARGUMENT, if there are no tasks, their models differ, or a signature occurs twice.
            UNIMPLEMENTED, if a method is unknown. Else as in `classify`.
    """
    _check_tasks(core, tasks)
    response = inference_pb2.MultiInferenceResponse()
    for task in tasks:
        if task.method_name == CLASSIFY:
            spec, result = classify(core, task.model_spec, examples, deadline)
            response.results.add(model_spec=spec, classification_result=result)
        else:
            spec, result = regress(core, task.model_spec, examples, deadline)
            response.results.add(model_spec=spec, regression_result=result)
    return response


def requested_signature(core: ServerCore, spec: Any, not_found: str) -> Signature:
    """Return the signature that a `ModelSpec` requests. TF Serving has another error of an unknown one in every API.

    Args:
        core: operations of the server.
        spec: a `ModelSpec`.
        not_found: error of an unknown signature, with {} for its name.

    Raises:
        RequestError: INVALID_ARGUMENT, if the signature is unknown. Else as in `ServerCore.signature`.
    """
    try:
        return core.signature(spec)
    except RequestError as error:
        if error.code is grpc.StatusCode.FAILED_PRECONDITION:
            raise invalid(not_found.format(spec.signature_name or DEFAULT_SIGNATURE)) from error
        raise


def _check_tasks(core: ServerCore, tasks: Any) -> None:
    if not tasks or any(not task.model_spec.name for task in tasks):
        raise invalid("Found ModelSpec with an empty model name.")
    if len({task.model_spec.name for task in tasks}) > 1:
        raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
    names = set[str]()
    for task in tasks:
        signature = requested_signature(core, task.model_spec, _NOT_FOUND)
        if signature.name in names:
            raise invalid(f"Duplicate evaluation of signature: {signature.name}")
        names.add(signature.name)
        if task.method_name not in (CLASSIFY, REGRESS):
            sentence = f"Unsupported signature method_name: {task.method_name}"
            raise RequestError(grpc.StatusCode.UNIMPLEMENTED, sentence)
        (_check_classifier if task.method_name == CLASSIFY else _check_regressor)(signature)


def _check_classifier(signature: Signature) -> None:
    _check_input(signature, "classification")
    if len(signature.outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    if not signature.outputs.keys() & {_CLASSES, _SCORES}:
        names = f'"{_CLASSES}" or "{_SCORES}". Signature was: {signature.name}'
        raise invalid(f"Expected classification signature outputs to contain at least one of {names}")


def _check_regressor(signature: Signature) -> None:
    _check_input(signature, "regression")
    if len(signature.outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if _VALUES not in signature.outputs:
        raise invalid(f"No regression outputs found in SignatureDef: {signature.name}")


def _check_input(signature: Signature, kind: str) -> None:
    if len(signature.inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if _EXAMPLES not in signature.inputs:
        raise invalid(f"No {kind} inputs found in SignatureDef: {signature.name}")


def _check_output(name: str, array: np.ndarray, kind: str, rows: int) -> None:
    """Check that an output is [rows, classes] and has the dtype string ("O") or float32 ("f")."""
    if array.ndim != 2:
        raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {list(array.shape)}")
    if array.dtype.kind != kind or array.dtype == np.float64:
        expected = "DT_STRING" if kind == "O" else "DT_FLOAT"
        raise invalid(f"Expected {name} Tensor of {expected}. Got: {array.dtype}")
    if len(array) != rows:
        raise invalid(f"Expected {name} output batch size of {rows}. Got: {len(array)}")


def _serialised(examples: Any) -> np.ndarray:
    """Serialise the examples of an `Input`, each with the features of the context, if present: string [n]."""
    messages, context = examples.example_list.examples, None
    if examples.WhichOneof("kind") == "example_list_with_context":
        messages, context = examples.example_list_with_context.examples, examples.example_list_with_context.context
    if not messages:
        raise invalid("Input is empty.")
    array = np.empty(len(messages), object)
    array[:] = [_with_context(example, context).SerializeToString() for example in messages]
    return array


def _with_context(example: Any, context: Any) -> Any:
    if context is None:
        return example
    merged = type(example)()
    merged.CopyFrom(context)
    for name, feature in example.features.feature.items():
        merged.features.feature[name].CopyFrom(feature)
    return merged
