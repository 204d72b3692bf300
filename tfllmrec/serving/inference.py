"""Classify, Regress and MultiInference: signatures that read serialised `tf.Example`s, as estimators export them."""

from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2, inference_pb2, regression_pb2

from tfllmrec.serving.core import ServerCore
from tfllmrec_client.status import invalid

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
_EXAMPLES, _CLASSES, _SCORES, _VALUES = "inputs", "classes", "scores", "outputs"


def classify(core: ServerCore, spec: Any, examples: Any) -> tuple[Any, Any]:
    """The `ModelSpec` that answered and a `ClassificationResult`: labels with scores for every example.

    Args:
        core: what answers.
        spec: a `ModelSpec`, whose signature's method is `CLASSIFY`.
        examples: an `Input`.

    Raises:
        RequestError: no examples, a signature of another method, or as `ServerCore.predict`.
    """
    answered, outputs = _asked(core, spec, examples, CLASSIFY)
    if not outputs.keys() & {_CLASSES, _SCORES}:
        raise invalid(f"{answered.signature_name} has neither {_CLASSES} nor {_SCORES}, and classifies nothing")
    scores = outputs.get(_SCORES)
    labels = outputs.get(_CLASSES)
    shape = (labels if scores is None else scores).shape
    if len(shape) != 2 or (labels is not None and labels.shape != shape):
        raise invalid(f"{answered.signature_name}: {_CLASSES} and {_SCORES} must be [examples, classes] both")
    labels = np.full(shape, b"", object) if labels is None else labels
    scores = np.zeros(shape, np.float32) if scores is None else scores
    rows = zip(labels.tolist(), scores.tolist(), strict=True)
    classifications = [
        {"classes": [{"label": label, "score": score} for label, score in zip(*row, strict=True)]} for row in rows
    ]
    return answered, classification_pb2.ClassificationResult(classifications=classifications)


def regress(core: ServerCore, spec: Any, examples: Any) -> tuple[Any, Any]:
    """The `ModelSpec` that answered and a `RegressionResult`: a number for every example. Otherwise as `classify`."""
    answered, outputs = _asked(core, spec, examples, REGRESS)
    values = outputs.get(_VALUES)
    if values is None or values.shape not in ((len(values),), (len(values), 1)):
        raise invalid(f"{answered.signature_name}: {_VALUES} must be a number for every example")
    return answered, regression_pb2.RegressionResult(regressions=[{"value": value} for value in values.ravel()])


def infer_several(core: ServerCore, tasks: Any, examples: Any) -> Any:
    """A `MultiInferenceResponse`: several signatures of one model on the same examples, in the order of the tasks.

    Raises:
        RequestError: no tasks, tasks of several models or twice the same, an unknown method, or as `classify`.
    """
    if not tasks:
        raise invalid("a MultiInferenceRequest has at least one task")
    if len({task.model_spec.name for task in tasks}) > 1:
        raise invalid("all tasks of a MultiInferenceRequest must be of one model")
    asked = [task.model_spec.signature_name for task in tasks]
    if twice := [name for name in asked if asked.count(name) > 1]:
        raise invalid(f"signature {twice[0]!r} is asked twice")
    answer = inference_pb2.MultiInferenceResponse()
    for task in tasks:
        if task.method_name == CLASSIFY:
            spec, result = classify(core, task.model_spec, examples)
            answer.results.add(model_spec=spec, classification_result=result)
        elif task.method_name == REGRESS:
            spec, result = regress(core, task.model_spec, examples)
            answer.results.add(model_spec=spec, regression_result=result)
        else:
            raise invalid(f"method_name {task.method_name!r} must be {CLASSIFY} or {REGRESS}")
    return answer


def _asked(core: ServerCore, spec: Any, examples: Any, method: str) -> tuple[Any, Any]:
    signature = core.signature(spec)
    if signature.method != method:
        raise invalid(f"{signature.name} has the method {signature.method}, and must have {method}")
    return core.predict(spec, {_EXAMPLES: _serialised(examples)})


def _serialised(examples: Any) -> np.ndarray:
    """The examples of an `Input`, each with the features of the context, if there is one: string [n]."""
    given, context = examples.example_list.examples, None
    if examples.WhichOneof("kind") == "example_list_with_context":
        given, context = examples.example_list_with_context.examples, examples.example_list_with_context.context
    if not given:
        raise invalid("the input has no examples")
    array = np.empty(len(given), object)
    array[:] = [_with_context(example, context).SerializeToString() for example in given]
    return array


def _with_context(example: Any, context: Any) -> Any:
    if context is None:
        return example
    merged = type(example)()
    merged.CopyFrom(context)
    for name, feature in example.features.feature.items():
        merged.features.feature[name].CopyFrom(feature)
    return merged
