"""Parse responses: arrays by name, items with titles, scores, labels, states of versions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfllmrec_client.errors import InputError
from tfllmrec_client.results import ScoredItem, ScoredLabel
from tfllmrec_client.status import invalid
from tfllmrec_client.tensors import decoded, read

Outputs = dict[str, np.ndarray]
"""The outputs of a signature by name; strings are `str`."""

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


def outputs(response: Any) -> Outputs:
    """Return the arrays of a `PredictResponse`."""
    return {name: decoded(read(tensor)) for name, tensor in response.outputs.items()}


def version_states(response: Any) -> dict[int, str]:
    """Return the states in a `GetModelStatusResponse` by version."""
    return {status.version: _STATES.get(status.state, str(status.state)) for status in response.model_version_status}


def check_scenarios(call: str, outputs: Outputs, scenarios: Sequence[str], model: str) -> None:
    """Check that the model knows the scenarios of a request.

    Raises:
        InputError: If it does not know one of them.
    """
    known = outputs.get("scenario_known")
    if known is not None and not known.all():
        unknown = scenarios[int(np.argmin(known))]
        raise InputError(f"{call}: {model} has no scenario {unknown!r}; its model card lists those it has")


def scored_items(call: str, outputs: Outputs, k: int, model: str) -> list[list[ScoredItem]]:
    """Return the first k items of every row, without the positions that are empty.

    Raises:
        RequestError: If k is more than the export returns.
    """
    top_k = outputs["item_ids"].shape[1]
    if k > top_k:
        raise invalid(f"{call}: k is {k}, but {model} was exported with top_k={top_k}; export it with a larger top_k")
    columns = (outputs[name][:, :k].tolist() for name in ("item_ids", "titles", "scores"))
    rows = (zip(*row, strict=True) for row in zip(*columns, strict=True))
    return [[ScoredItem(*item) for item in row if item[0]] for row in rows]


def candidate_scores(outputs: Outputs, candidates: Sequence[Sequence[str]]) -> list[list[float]]:
    """Return the scores of every row, without the leading column and the padding on the right."""
    rows = outputs["scores"][:, 1:].tolist()
    return [scores[: len(row)] for scores, row in zip(rows, candidates, strict=True)]


def scored_labels(outputs: Outputs) -> list[list[ScoredLabel]]:
    """Return the labels of every row."""
    rows = zip(outputs["labels"].tolist(), outputs["scores"].tolist(), strict=True)
    return [[ScoredLabel(*label) for label in zip(*row, strict=True)] for row in rows]
