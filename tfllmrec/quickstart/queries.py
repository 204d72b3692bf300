"""Queries of the quickstart: a user through a model server, two visitors through the SavedModel in process."""

import json
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tfllmrec.data import Dataset
from tfllmrec.quiet import suppress_stderr
from tfllmrec.serving import Client, ServerProcess
from tfllmrec.serving.session import ServedModel

_USER_FILMS, _USER_RECOMMENDED = 5, 10
_VISITOR_FILMS, _VISITOR_RECOMMENDED = 3, 5
_TASTES = ("Children", "Horror")  # categories of the demo data


def query_for_a_user(version: Path, data: Dataset, user: int, console: Console) -> None:
    """Print ten titles for a user, from a model server over gRPC.

    Raises:
        RuntimeError: If gRPC, REST and the SavedModel in process differ.
    """
    user_id, model = str(data.user_vocabulary.tokens[user]), version.parent.name
    with ServerProcess(version.parent) as server, Client(server.grpc_address, model) as client:
        served = client.recommend(users=[user_id], k=_USER_RECOMMENDED)[0]
        over_rest = _query_rest(f"{server.rest_url}/v1/models/{model}:predict", user_id)
    in_process = _query_in_process(version, _request([user_id], [[""]]))["item_ids"][0].tolist()
    items = [item.item_id for item in served]
    if not items == over_rest[: len(items)] == in_process[: len(items)]:
        raise RuntimeError(f"gRPC, REST and the SavedModel differ: {items}, {over_rest}, {in_process}")
    titles = data.items["title"].to_numpy()
    history = titles[data.histories.row(user)[-_USER_FILMS:] - 1]
    films = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    films.add_column(f"The last films of user {user_id}", no_wrap=True)
    films.add_column("Recommended by the model server", no_wrap=True)
    for position, item in enumerate(served):
        watched = history[position] if position < len(history) else ""
        films.add_row(Text(watched), Text(f"{position + 1:2}. {item.title}"))
    console.print(films)
    console.print(f"  {model} over gRPC; identical results over REST and in process", style="dim")


def query_what_if(version: Path, data: Dataset, console: Console) -> None:
    """Print recommendations for two visitors, from histories in the request."""
    visitors = two_tastes(data)
    histories = data.items["item_id"].to_numpy()[visitors].tolist()
    outputs = _query_in_process(version, _request([""] * len(histories), histories))
    films = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    for heading in ("What if a visitor saw these films?", "And what if these?"):
        films.add_column(heading, no_wrap=True)
    for watched in data.items["title"].to_numpy()[visitors].T:
        films.add_row(*map(Text, watched))
    films.add_row(*(Text("Recommended", style="bold") for _ in visitors))
    for rank, titles in enumerate(outputs["titles"][:, :_VISITOR_RECOMMENDED].T, start=1):
        films.add_row(*(Text(f"{rank:2}. {title}") for title in titles))
    console.print(Padding(films, (1, 0, 0, 0)))
    console.print(f"  {version.parent.name}, from these films alone, without a user id", style="dim")


def _request(users: list[str], histories: list[list[str]]) -> dict[str, Any]:
    return {"user_id": users, "history": histories, "exclude_item_ids": [[""]] * len(users)}


def _query_rest(url: str, user_id: str) -> list[str]:
    """Return item ids over HTTP."""
    body = json.dumps({"signature_name": "retrieve", "inputs": _request([user_id], [[""]])}).encode()
    with urllib.request.urlopen(url, body) as response:
        return json.load(response)["outputs"]["item_ids"][0]


def _query_in_process(version: Path, request: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the outputs of the signature `retrieve` without a server."""
    with suppress_stderr():
        model = ServedModel(version)
        outputs = model("retrieve", **request)
    model.close()
    return outputs


def two_tastes(data: Dataset) -> np.ndarray:
    """Return two short histories as rows of the item table, [2, films]: popular items of one category and of another.

    Without these categories, the two most popular ones are used; without any categories, the most popular items.
    """
    popularity = data.item_counts[1:]
    named = data.items.reindex(columns=["categories"], fill_value="")["categories"]
    categories = named.str.get_dummies("|")
    names = _TASTES if {*_TASTES} <= {*categories} else categories.mul(popularity, axis=0).sum().nlargest(2).index
    if len(names) < 2:
        return np.argsort(-popularity, kind="stable")[: 2 * _VISITOR_FILMS].reshape(2, -1)
    first, second = categories[[*names]].to_numpy().T
    return np.argsort(-popularity * [first > second, second > first], kind="stable")[:, :_VISITOR_FILMS]
