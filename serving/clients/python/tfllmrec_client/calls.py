"""What can be asked of a model: requests, and how to read their answers. How either travels is not said here."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np

from tfllmrec_client import messages
from tfllmrec_client.errors import InputError
from tfllmrec_client.requests import rank_request, recommend_request
from tfllmrec_client.responses import (
    Outputs,
    RecommendedItem,
    in_known_scenarios,
    interests_of,
    outputs_of,
    places_of,
    scores_of,
    states_of,
)
from tfllmrec_client.tensors import array_of, write

Answer = TypeVar("Answer")
Meaning = TypeVar("Meaning")
Ids = Sequence[str]
Rows = Sequence[Sequence[str]]


class Method(NamedTuple):
    """A method of a server, and the classes of its messages."""

    path: str
    request: Any
    response: Any


PREDICT = Method("/tensorflow.serving.PredictionService/Predict", messages.PredictRequest, messages.PredictResponse)
STATUS = Method(
    "/tensorflow.serving.ModelService/GetModelStatus", messages.GetModelStatusRequest, messages.GetModelStatusResponse
)


class Call(NamedTuple, Generic[Answer]):
    """A request to a method, and what its response means."""

    method: Method
    request: Any
    read: Callable[[Any], Answer]

    def then(self, meaning: Callable[[Answer], Meaning]) -> "Call[Meaning]":
        """The same request, read further."""
        return Call(self.method, self.request, lambda response: meaning(self.read(response)))


class Calls:
    """What can be asked of one model; `Client` says what each call means.

    Raises:
        InputError: both a version and a label, or, of each call, a question that is none.
    """

    def __init__(self, model: str, version: int | None, label: str | None) -> None:
        if version is not None and label is not None:
            raise InputError("client: give a version or a label, not both")
        self._model = model
        self._spec: dict[str, Any] = {"name": model}
        if version is not None:
            self._spec["version"] = {"value": version}
        if label is not None:
            self._spec["version_label"] = label

    def status(self) -> Call[dict[int, str]]:
        """The states of versions."""
        return Call(STATUS, messages.GetModelStatusRequest(model_spec=self._spec), states_of)

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> Call[Outputs]:
        """Any signature."""
        request = messages.PredictRequest(model_spec=self._spec | {"signature_name": signature})
        for name, value in inputs.items():
            write(array_of(name, value), request.inputs[name])
        return Call(PREDICT, request, outputs_of)

    def recommend(
        self,
        users: Ids | None,
        histories: Rows | None,
        k: int,
        exclude: Rows | None,
        user_features: Rows | None,
        scenarios: Ids | None,
    ) -> Call[list[list[RecommendedItem]]]:
        """`retrieve`, or what a model has that reads features or scenarios."""
        if user_features is not None and scenarios is not None:
            raise InputError("recommend: no model reads both user_features and scenarios; leave one of them out")
        asked = recommend_request(users, histories, exclude, user_features, scenarios)
        inputs = {
            "user_id": np.array(asked.users, object),
            "history": _rows_of_ids(asked.histories),
            "exclude_item_ids": _rows_of_ids(asked.excluded),
        }
        if scenarios is not None:
            return self._items("recommend", inputs | _named(asked.scenarios), k)
        if user_features is not None:
            return self._items("retrieve_with_features", inputs | {"user_features": _rows_of_ids(asked.features)}, k)
        return self._items("retrieve", inputs, k)

    def next_items(self, histories: Rows, k: int, exclude: Rows | None) -> Call[list[list[RecommendedItem]]]:
        """`next_items`."""
        asked = recommend_request(None, histories, exclude)
        inputs = {"history": _rows_of_ids(asked.histories), "exclude_item_ids": _rows_of_ids(asked.excluded)}
        return self._items("next_items", inputs, k)

    def similar_items(self, items: Ids, k: int, exclude: Rows | None) -> Call[list[list[RecommendedItem]]]:
        """`similar_items`."""
        asked = recommend_request(items, None, exclude)
        inputs = {"item_id": np.array(asked.users, object), "exclude_item_ids": _rows_of_ids(asked.excluded)}
        return self._items("similar_items", inputs, k)

    def rank(
        self, candidates: Rows, users: Ids | None, histories: Rows | None, scenarios: Ids | None
    ) -> Call[list[list[float]]]:
        """`rank`."""
        asked = rank_request(candidates, users, histories, scenarios)
        inputs = {
            "user_id": np.array(asked.users, object),
            "history": _rows_of_ids(asked.histories),
            "candidate_item_ids": _rows_of_ids(asked.candidates),
        }
        if scenarios is not None:
            inputs |= _named(asked.scenarios)
        return self._known("rank", inputs).then(lambda outputs: scores_of(outputs, asked.candidates))

    def rank_texts(self, candidates: Rows, histories: Rows) -> Call[list[list[float]]]:
        """`rank_texts`."""
        asked = rank_request(candidates, histories=histories)
        texts = {"history_texts": _rows_of_ids(asked.histories), "candidate_texts": _rows_of_ids(asked.candidates)}
        return self.predict("rank_texts", texts).then(lambda outputs: scores_of(outputs, asked.candidates))

    def interests(
        self, users: Ids | None, histories: Rows | None, scenarios: Ids | None, texts: Rows | None
    ) -> Call[list[list[tuple[str, float]]]]:
        """`interests`, or `interests_with_texts`."""
        asked = recommend_request(users, histories, None, scenarios=scenarios, texts=texts, call="interests")
        inputs = {"user_id": np.array(asked.users, object), "history": _rows_of_ids(asked.histories)}
        if scenarios is not None:
            inputs |= _named(asked.scenarios)
        signature = "interests"
        if texts is not None:
            signature, inputs["texts"] = "interests_with_texts", _rows_of_ids(asked.texts)
        return self._known(signature, inputs).then(interests_of)

    def _items(self, signature: str, inputs: dict[str, np.ndarray], k: int) -> Call[list[list[RecommendedItem]]]:
        if k < 1:
            raise InputError(f"{signature}: k is {k}, and must be at least 1")
        return self._known(signature, inputs).then(lambda outputs: places_of(signature, outputs, k, self._model))

    def _known(self, signature: str, inputs: dict[str, np.ndarray]) -> Call[Outputs]:
        asked = self.predict(signature, inputs)
        if "scenario" not in inputs:
            return asked
        return asked.then(lambda outputs: in_known_scenarios(signature, outputs, inputs["scenario"], self._model))


def _named(scenarios: list[str]) -> dict[str, np.ndarray]:
    return {"scenario": np.array(scenarios, object)}


def _rows_of_ids(rows: Rows) -> np.ndarray:
    """Rows of one width, each with "" first: a server that pads them again repeats that, which is nothing."""
    ids = np.full((len(rows), 1 + max(map(len, rows), default=0)), "", object)
    for row, given in zip(ids, rows, strict=True):
        row[1 : 1 + len(given)] = given
    return ids
