"""Classify, Regress and MultiInference: signatures that read serialised `tf.Example`s, such as those of estimators."""

from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tfllmrec.serving.core import ServerCore
from tfllmrec_client.status import invalid

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_EXAMPLES, _CLASSES, _SCORES, _VALUES = "inputs", "classes", "scores", "outputs"


def classify(core: ServerCore, spec: Any, examples: Any) -> tuple[Any, Any]:
    """Return the labels and scores of each example.

    Args:
        core: operations of the server.
        spec: a `ModelSpec` with a signature of the method `CLASSIFY`.
        examples: an `Input`.

    Returns:
        The `ModelSpec` of the version that ran, and a `ClassificationResult`.

    Raises:
        RequestError: If there are no examples, the signature has another method or wrong outputs, or as in
            `ServerCore.predict`.
    """
    resolved, outputs = _predict(core, spec, examples, CLASSIFY)
    if not outputs.keys() & {_CLASSES, _SCORES}:
        raise invalid(f"{resolved.signature_name} cannot classify: it has neither {_CLASSES} nor {_SCORES}")
    scores = outputs.get(_SCORES)
    labels = outputs.get(_CLASSES)
    shape = (labels if scores is None else scores).shape
    if len(shape) != 2 or (labels is not None and labels.shape != shape):
        raise invalid(f"{resolved.signature_name}: the shape of {_CLASSES} and {_SCORES} must be [examples, classes]")
    labels = np.full(shape, b"", object) if labels is None else labels
    scores = np.zeros(shape, np.float32) if scores is None else scores
    rows = zip(labels.tolist(), scores.tolist(), strict=True)
    classifications = [
        {"classes": [{"label": label, "score": score} for label, score in zip(*row, strict=True)]} for row in rows
    ]
    return resolved, classification_pb2.ClassificationResult(classifications=classifications)


def regress(core: ServerCore, spec: Any, examples: Any) -> tuple[Any, Any]:
    """Return the value of each example.

    Args:
        core: operations of the server.
        spec: a `ModelSpec` with a signature of the method `REGRESS`.
        examples: an `Input`.

    Returns:
        The `ModelSpec` of the version that ran, and a `RegressionResult`.

    Raises:
        RequestError: As in `classify`.
    """
    resolved, outputs = _predict(core, spec, examples, REGRESS)
    values = outputs.get(_VALUES)
    if values is None or values.shape not in ((len(values),), (len(values), 1)):
        raise invalid(f"{resolved.signature_name}: {_VALUES} must be a number for each example")
    return resolved, regression_pb2.RegressionResult(regressions=[{"value": value} for value in values.ravel()])


def multi_inference(core: ServerCore, tasks: Any, examples: Any) -> Any:
    """Run several signatures of one model on the same examples.

    Args:
        core: operations of the server.
        tasks: `InferenceTask`s, each with a `ModelSpec` and a method.
        examples: an `Input`.

    Returns:
        A `MultiInferenceResponse` with the results in the order of the tasks.

    Raises:
        RequestError: If there are no tasks, their models differ, a signature occurs twice, a method is unknown, or as
            in `classify`.
    """
    if not tasks:
        raise invalid("a MultiInferenceRequest must have at least one task")
    if len({task.model_spec.name for task in tasks}) > 1:
        raise invalid("all tasks of a MultiInferenceRequest must be of one model")
    signatures = [task.model_spec.signature_name for task in tasks]
    if duplicates := [name for name in signatures if signatures.count(name) > 1]:
        raise invalid(f"signature {duplicates[0]!r} is requested twice")
    response = inference_pb2.MultiInferenceResponse()
    for task in tasks:
        if task.method_name == CLASSIFY:
            spec, result = classify(core, task.model_spec, examples)
            response.results.add(model_spec=spec, classification_result=result)
        elif task.method_name == REGRESS:
            spec, result = regress(core, task.model_spec, examples)
            response.results.add(model_spec=spec, regression_result=result)
        else:
            raise invalid(f"method_name {task.method_name!r} must be {CLASSIFY} or {REGRESS}")
    return response


def _predict(core: ServerCore, spec: Any, examples: Any, method: str) -> tuple[Any, Any]:
    signature = core.signature(spec)
    if signature.method != method:
        raise invalid(f"{signature.name} has the method {signature.method}, and must have {method}")
    return core.predict(spec, {_EXAMPLES: _serialised(examples)})


def _serialised(examples: Any) -> np.ndarray:
    """Serialise the examples of an `Input`, each with the features of the context, if present: string [n]."""
    messages, context = examples.example_list.examples, None
    if examples.WhichOneof("kind") == "example_list_with_context":
        messages, context = examples.example_list_with_context.examples, examples.example_list_with_context.context
    if not messages:
        raise invalid("the input has no examples")
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
