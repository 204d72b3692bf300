"""What the quickstart asks of its exports: a model server for a user, a SavedModel in process for two visitors."""

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

_FILMS_READ, _FILMS_RECOMMENDED = 5, 10
_VISITOR_READ, _VISITOR_RECOMMENDED = 3, 5
_TASTES = ("Children", "Horror")  # categories of the demo data


def ask_for_a_user(version: Path, data: Dataset, user: int, console: Console) -> None:
    """Ten titles for one user, from a model server over gRPC; REST and the SavedModel in process must agree."""
    user_id, model = str(data.user_vocabulary.tokens[user]), version.parent.name
    with ServerProcess(version.parent) as server, Client(server.grpc_address, model) as client:
        served = client.recommend(users=[user_id], k=_FILMS_RECOMMENDED)[0]
        over_rest = _ask_rest(f"{server.rest_url}/v1/models/{model}:predict", user_id)
    in_process = _ask_in_process(version, "retrieve", _question(user_id))["item_ids"][0].tolist()
    found = [item.item_id for item in served]
    if not found == over_rest[: len(found)] == in_process[: len(found)]:
        raise RuntimeError(f"gRPC, REST and the SavedModel differ: {found}, {over_rest}, {in_process}")
    titles = data.items["title"].to_numpy()
    read = titles[data.histories.row(user)[-_FILMS_READ:] - 1]
    films = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    films.add_column(f"The last films of user {user_id}", no_wrap=True)
    films.add_column("Recommended by the model server", no_wrap=True)
    for place, item in enumerate(served):
        films.add_row(read[place] if place < len(read) else "", f"{place + 1:2}. {item.title}")
    console.print(films)
    console.print("  over gRPC; REST and the SavedModel in process answer the same", style="dim")


def _question(user_id: str) -> dict[str, Any]:
    """A known user, nothing given on the spot."""
    return {"user_id": [user_id], "history": [[""]], "exclude_item_ids": [[""]]}


def _ask_rest(url: str, user_id: str) -> list[str]:
    """Item ids over HTTP, as any language would ask for them."""
    body = json.dumps({"signature_name": "retrieve", "inputs": _question(user_id)}).encode()
    with urllib.request.urlopen(url, body) as answer:
        return json.load(answer)["outputs"]["item_ids"][0]


def _ask_in_process(version: Path, signature: str, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
    """The outputs of a SavedModel's signature, without a server."""
    with suppress_stderr():
        model = ServedModel(version)
        answer = model(signature, **inputs)
    model.close()
    return answer


def ask_what_if(version: Path, data: Dataset, console: Console) -> None:
    """What comes next for two visitors whom no model knows, from their films alone."""
    visitors = two_tastes(data)
    histories = data.items["item_id"].to_numpy()[visitors].tolist()
    inputs = {"history": histories, "exclude_item_ids": [[""]] * len(histories)}
    found = _ask_in_process(version, "next_items", inputs)["titles"][:, :_VISITOR_RECOMMENDED]
    films = Table(box=None, padding=(0, 1, 0, 2), header_style="bold")
    for heading in ("What if a visitor saw these films?", "And what if these?"):
        films.add_column(heading, no_wrap=True)
    for read in data.items["title"].to_numpy()[visitors].T:
        films.add_row(*map(Text, read))
    films.add_row(*(Text("\nRecommended next", style="bold") for _ in visitors))
    for place, titles in enumerate(found.T, start=1):
        films.add_row(*(Text(f"{place:2}. {title}") for title in titles))
    console.print(Padding(films, (1, 0, 0, 0)))
    console.print("  from the next_item SavedModel, which was given these films and no user", style="dim")


def two_tastes(data: Dataset) -> np.ndarray:
    """Two short histories as places in the item table, [2, films]: popular items of one taste and of the other.

    Data without these categories have two others, and data without any the most popular items and the next ones.
    """
    popularity = data.item_counts[1:]
    named = data.items.reindex(columns=["categories"], fill_value="")["categories"]
    categories = named.str.get_dummies("|")
    names = _TASTES if {*_TASTES} <= {*categories} else categories.mul(popularity, axis=0).sum().nlargest(2).index
    if len(names) < 2:
        return np.argsort(-popularity, kind="stable")[: 2 * _VISITOR_READ].reshape(2, -1)
    one, other = categories[[*names]].to_numpy().T
    return np.argsort(-popularity * [one > other, other > one], kind="stable")[:, :_VISITOR_READ]
