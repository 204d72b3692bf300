"""What the answers of a model mean: arrays by name, items with titles, scores, interests."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfllmrec_client.errors import InputError
from tfllmrec_client.status import invalid
from tfllmrec_client.tensors import decoded, read

Outputs = dict[str, np.ndarray]
"""The outputs of a signature by name; strings are `str`."""

_STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}


class RecommendedItem(NamedTuple):
    """One place of an answer, best first.

    Attributes:
        item_id: the item.
        title: its title; the id where it has none.
        score: comparable within one answer.
    """

    item_id: str
    title: str
    score: float


def outputs_of(answer: Any) -> Outputs:
    """The arrays of a `PredictResponse`."""
    return {name: decoded(read(tensor)) for name, tensor in answer.outputs.items()}


def states_of(answer: Any) -> dict[int, str]:
    """The states of versions in a `GetModelStatusResponse`."""
    return {one.version: _STATES.get(one.state, str(one.state)) for one in answer.model_version_status}


def in_known_scenarios(asked: str, outputs: Outputs, scenarios: np.ndarray, model: str) -> Outputs:
    """The outputs as they are.

    Raises:
        InputError: they say that the model does not know a scenario it was asked about.
    """
    known = outputs.get("scenario_known")
    if known is not None and not known.all():
        wrong = scenarios[int(np.argmin(known))]
        raise InputError(f"{asked}: {model} knows no scenario {wrong!r}; its model card names them")
    return outputs


def places_of(asked: str, outputs: Outputs, k: int, model: str) -> list[list[RecommendedItem]]:
    """The first k items of each row, without places that nothing was left for.

    Raises:
        RequestError: k is more than the export answers.
    """
    there = outputs["item_ids"].shape[1]
    if k > there:
        raise invalid(f"{asked}: k is {k}, and {model} was exported with {there} places: export it with more")
    columns = (outputs[name][:, :k].tolist() for name in ("item_ids", "titles", "scores"))
    return [
        [RecommendedItem(*place) for place in zip(*row, strict=True) if place[0]] for row in zip(*columns, strict=True)
    ]


def scores_of(outputs: Outputs, candidates: Sequence[Sequence[str]]) -> list[list[float]]:
    """The scores of each row, without the column that stands first, and without the padding."""
    rows = outputs["scores"][:, 1:].tolist()
    return [row[: len(given)] for row, given in zip(rows, candidates, strict=True)]


def interests_of(outputs: Outputs) -> list[list[tuple[str, float]]]:
    """Labels and chances of each row."""
    rows = zip(outputs["labels"].tolist(), outputs["scores"].tolist(), strict=True)
    return [list(zip(labels, scores, strict=True)) for labels, scores in rows]
