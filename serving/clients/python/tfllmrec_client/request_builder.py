"""Build the requests for one model; they do not depend on how they are sent."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from tfllmrec_client import messages, parsing
from tfllmrec_client.errors import InputError
from tfllmrec_client.inputs import input_arrays, padded_rows, string_array
from tfllmrec_client.parsing import Outputs
from tfllmrec_client.requests import item_request, rank_request, recommend_request
from tfllmrec_client.results import (
    CandidateScores,
    ItemEmbeddings,
    QueryEmbeddings,
    RowColumns,
    ScoredItems,
    ScoredLabels,
)
from tfllmrec_client.rpc import GET_MODEL_STATUS, PREDICT, Rpc
from tfllmrec_client.tensors import encoded, write

Result = TypeVar("Result")
Ids = Iterable[str]
Rows = Iterable[Iterable[str]]
Inputs = dict[str, np.ndarray]


class RequestBuilder:
    """Build the requests for one model; see `Client` for what they mean.

    Args:
        model: the model's name on the server.
        version: a version number, or None.
        label: a version label, or None.

    Raises:
        InputError: If there are both a version and a label.
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

    def status(self) -> Rpc[dict[int, str]]:
        """Build a request for the states of versions."""
        request = messages.GetModelStatusRequest(model_spec=self._spec)
        return Rpc(GET_MODEL_STATUS, request, parsing.version_states)

    def predict(self, signature: str, inputs: Mapping[str, Any]) -> Rpc[Outputs]:
        """Build a request for any signature."""
        return self._predict(signature, input_arrays(inputs))

    def recommend(
        self,
        users: Ids | None,
        histories: Rows | None,
        k: int,
        exclude: Rows | None,
        user_features: Rows | None,
        scenarios: Ids | None,
    ) -> Rpc[ScoredItems]:
        """Build a request for `retrieve`, `retrieve_with_features` or, with scenarios, `recommend`."""
        if user_features is not None and scenarios is not None:
            raise InputError("recommend: no model reads both user_features and scenarios; omit one of them")
        request = recommend_request(users, histories, exclude, user_features, scenarios)
        inputs = {
            "user_id": string_array(request.users),
            "history": padded_rows(request.histories),
            "exclude_item_ids": padded_rows(request.excluded),
        }
        signature = "retrieve"
        if user_features is not None:
            signature, inputs["user_features"] = "retrieve_with_features", padded_rows(request.features)
        if scenarios is not None:
            signature, inputs["scenario"] = "recommend", string_array(request.scenarios)
        return self._scored_items("recommend", signature, inputs, k, {"user_id": request.users})

    def next_items(self, histories: Rows, k: int, exclude: Rows | None) -> Rpc[ScoredItems]:
        """Build a request for `next_items`."""
        request = recommend_request(None, histories, exclude, call="next_items")
        inputs = {"history": padded_rows(request.histories), "exclude_item_ids": padded_rows(request.excluded)}
        return self._scored_items("next_items", "next_items", inputs, k, {})

    def similar_items(self, items: Ids, k: int, exclude: Rows | None) -> Rpc[ScoredItems]:
        """Build a request for `similar_items`."""
        request = item_request(items, exclude, call="similar_items")
        inputs = {"item_id": string_array(request.items), "exclude_item_ids": padded_rows(request.excluded)}
        return self._scored_items("similar_items", "similar_items", inputs, k, {"query_item_id": request.items})

    def rank(
        self, candidates: Rows, users: Ids | None, histories: Rows | None, scenarios: Ids | None
    ) -> Rpc[CandidateScores]:
        """Build a request for `rank`."""
        request = rank_request(candidates, users, histories, scenarios)
        inputs = {
            "user_id": string_array(request.users),
            "history": padded_rows(request.histories),
            "candidate_item_ids": padded_rows(request.candidates),
        }
        if scenarios is not None:
            inputs["scenario"] = string_array(request.scenarios)

        def parse(outputs: Outputs) -> CandidateScores:
            scores = parsing.candidate_scores(outputs, request.candidates)
            return CandidateScores(scores, request.candidates, "item_id", {"user_id": request.users})

        return self._in_scenario("rank", "rank", inputs, parse)

    def rank_texts(self, candidates: Rows, histories: Rows) -> Rpc[CandidateScores]:
        """Build a request for `rank_texts`."""
        request = rank_request(candidates, histories=histories, call="rank_texts")
        inputs = {"history_texts": padded_rows(request.histories), "candidate_texts": padded_rows(request.candidates)}

        def parse(outputs: Outputs) -> CandidateScores:
            return CandidateScores(
                parsing.candidate_scores(outputs, request.candidates), request.candidates, "text", {}
            )

        return self._predict("rank_texts", inputs).map(parse)

    def interests(
        self, users: Ids | None, histories: Rows | None, scenarios: Ids | None, texts: Rows | None
    ) -> Rpc[ScoredLabels]:
        """Build a request for `interests` or, with texts, `interests_with_texts`."""
        request = recommend_request(users, histories, scenarios=scenarios, texts=texts, call="interests")
        inputs = {"user_id": string_array(request.users), "history": padded_rows(request.histories)}
        signature = "interests"
        if texts is not None:
            signature, inputs["texts"] = "interests_with_texts", padded_rows(request.texts)
        if scenarios is not None:
            inputs["scenario"] = string_array(request.scenarios)

        def parse(outputs: Outputs) -> ScoredLabels:
            return ScoredLabels(parsing.scored_labels(outputs), {"user_id": request.users})

        return self._in_scenario("interests", signature, inputs, parse)

    def embed_queries(self, users: Ids | None, histories: Rows | None) -> Rpc[QueryEmbeddings]:
        """Build a request for `embed_query`."""
        request = recommend_request(users, histories, call="embed_queries")
        inputs = {"user_id": string_array(request.users), "history": padded_rows(request.histories)}
        embed = self._predict("embed_query", inputs)
        return embed.map(lambda outputs: QueryEmbeddings(request.users, outputs["embedding"]))

    def embed_items(self, items: Ids) -> Rpc[ItemEmbeddings]:
        """Build a request for `embed_items`."""
        request = item_request(items, call="embed_items")
        embed = self._predict("embed_items", {"item_ids": string_array(request.items)})
        return embed.map(lambda outputs: ItemEmbeddings(request.items, outputs["embeddings"], outputs.get("biases")))

    def _predict(self, signature: str, inputs: Inputs) -> Rpc[Outputs]:
        request = messages.PredictRequest(model_spec=self._spec | {"signature_name": signature})
        for name, array in inputs.items():
            write(encoded(array), request.inputs[name])
        return Rpc(PREDICT, request, parsing.outputs)

    def _scored_items(
        self, call: str, signature: str, inputs: Inputs, k: int, row_columns: RowColumns
    ) -> Rpc[ScoredItems]:
        if k < 1:
            raise InputError(f"{call}: k is {k}, and must be at least 1")

        def parse(outputs: Outputs) -> ScoredItems:
            return ScoredItems(parsing.scored_items(call, outputs, k, self._model), row_columns)

        return self._in_scenario(call, signature, inputs, parse)

    def _in_scenario(
        self, call: str, signature: str, inputs: Inputs, parse: Callable[[Outputs], Result]
    ) -> Rpc[Result]:
        """Build a request for a signature, and check the scenarios in its response before that is parsed."""

        def check_and_parse(outputs: Outputs) -> Result:
            if "scenario" in inputs:
                parsing.check_scenarios(call, outputs, inputs["scenario"].tolist(), self._model)
            return parse(outputs)

        return self._predict(signature, inputs).map(check_and_parse)
