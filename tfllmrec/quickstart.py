"""The whole way of the data on the demo set: table, models, comparison, SavedModels, server, film titles."""

import json
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from tfllmrec.data import Dataset, Split, leave_one_out, load
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, summarise
from tfllmrec.evaluation.plots import plot_report
from tfllmrec.evaluation.report import Scores, cold_table, score_table, write_report
from tfllmrec.export import export
from tfllmrec.quiet import silent_stderr
from tfllmrec.recommenders import FAMILIES, Cascade, Recommender
from tfllmrec.recommenders.ranker import Ranker
from tfllmrec.serving import Client, ServerProcess
from tfllmrec.serving.session import ServedModel
from tfllmrec.training.cold import cold_scores
from tfllmrec.training.progress import EpochProgress

_REFERENCE = "markov_chain"
_SHOWN_METRICS = ("ndcg@10", "recall@10", "mrr@10", "coverage@10")  # what 80 columns have room for
_FILMS_READ, _FILMS_RECOMMENDED = 5, 10
_VISITOR_READ, _VISITOR_RECOMMENDED = 3, 5
_TASTES = ("Children", "Horror")  # categories of the demo data
# A cross-encoder is for short lists, the cascade is joined of others, and all tasks at once are one more long fit.
_FITTED = [name for name in FAMILIES if name not in ("multi_task", "cross_encoder", "cascade")]
_PARTS, _RANKER = ("two_tower", "next_item"), "bert_ranker"  # of the cascade
_EXPORTED = ("two_tower", "next_item")
_COLD = ("popularity", "word2vec", "two_tower")


def quickstart(out: Path, console: Console) -> None:
    """Fit the families on the demo data, compare them, export the two that read histories best, and ask those.

    Three of them are joined to a cascade. The two-tower model is asked for a user, through a model server; the
    next-item model for two visitors. Writes `report.json`, `report.png`, `export/two_tower/<version>/` and
    `export/next_item/<version>/` to a folder.

    Args:
        out: the folder.
        console: where the story is told.

    Raises:
        InputError: the demo data is not installed, or the folder cannot be written to.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "total"):
        data = load("demo")
        split = leave_one_out(data)
        _tell_data(console, data, split)
        fitted = _fit_all(split, seconds, console)
        models, intervals = _compare(fitted, split)
        shown = {name: {key: scores[key] for key in _SHOWN_METRICS} for name, scores in models.items()}
        console.print(Padding(score_table(shown, intervals, _REFERENCE), (1, 0, 0, 0)))
        with _timed(seconds, "cold"):
            cold = _compare_cold(fitted, data, console)
        console.print(cold_table(cold))
        with _timed(seconds, "export"):
            versions = {name: export(fitted[name], out / "export" / name) for name in _EXPORTED}
        with _timed(seconds, "serve"):
            _ask(versions["two_tower"], data, split, console)
        with _timed(seconds, "what_if"):
            _ask_what_if(versions["next_item"], data, console)
    write_report(out / "report.json", {"name": "demo"} | data.summary(), models, seconds, cold)
    # A ranker's curve is of lists, which the others' of all items are not to be compared with.
    curves = {name: model.history for name, model in fitted.items() if model.history and not isinstance(model, Ranker)}
    plot_report(out / "report.png", curves, models)
    _tell_files(console, out, list(versions.values()), seconds["total"])


def _tell_data(console: Console, data: Dataset, split: Split) -> None:
    size = data.summary()
    console.print(
        f"\n[bold]MovieLens[/bold]  {size['interactions']:,} ratings by {size['users']:,} people "
        f"of {size['items']:,} films"
    )
    for note in split.train.notes:
        console.print(f"  {note}", style="dim")
    console.print("  the last film of everybody is the test, the one before it the validation\n", style="dim")


def _fit_all(split: Split, seconds: dict[str, float], console: Console) -> dict[str, Recommender]:
    fitted: dict[str, Recommender] = {}
    for name in _FITTED:
        with _timed(seconds, name):
            progress = EpochProgress(console, name)
            fitted[name] = FAMILIES[name]().fit(split.train, split.validation, callbacks=[progress], verbose=0)
        _tell_fit(console, fitted[name], seconds[name])
    with _timed(seconds, "cascade"):
        ranker = fitted[_RANKER]
        assert isinstance(ranker, Ranker), "what the cascade's last step is"
        fitted["cascade"] = Cascade.of([fitted[name] for name in _PARTS], ranker, split.validation)
    _tell_fit(console, fitted["cascade"], seconds["cascade"])
    return fitted


def _tell_fit(console: Console, fitted: Recommender, seconds: float) -> None:
    epochs = len(fitted.history.get("loss", ()))
    told = f", {epochs} epochs" if epochs else ""
    console.print(f"  [green]✓[/green] {fitted.family:<14}[dim]{seconds:6.1f} s{told}[/dim]")


def _compare(fitted: dict[str, Recommender], split: Split) -> tuple[dict, dict]:
    """Metrics of every family on the test targets, and intervals of the differences to the reference."""
    rankings = {name: model.rank(split.test) for name, model in fitted.items()}
    models = {name: summarise(ranking, split.train.item_counts) for name, ranking in rankings.items()}
    gains = {name: ndcg(ranking.ranks, 10) for name, ranking in rankings.items()}
    others = [name for name in gains if name != _REFERENCE]
    return models, {name: difference(gains[name], gains[_REFERENCE]) for name in others}


def _compare_cold(fitted: dict[str, Recommender], data: Dataset, console: Console) -> dict[str, Scores]:
    """Metrics on items and users that a family has never met; each is fitted twice more."""
    found: dict[str, Scores] = {}
    for name in _COLD:
        with console.status(f"{name} without a tenth of the films, and without a tenth of the people"):
            found[name] = cold_scores(fitted[name], data)
    return found


def _ask(version: Path, data: Dataset, split: Split, console: Console) -> None:
    """Ten titles for one user, from a model server over gRPC; REST and the SavedModel in process must agree."""
    user = int(np.flatnonzero(split.train.histories.lengths >= _FILMS_READ)[0])
    user_id, model = str(data.user_vocabulary.tokens[user]), version.parent.name
    with ServerProcess(version.parent) as server, Client(server.grpc_address, model) as client:
        served = client.recommend(users=[user_id], k=_FILMS_RECOMMENDED)[0]
        over_rest = _ask_rest(f"{server.rest_url}/v1/models/{model}:predict", user_id)
    in_process = _ask_in_process(version, "retrieve", _question(user_id))["item_ids"][0].tolist()
    found = [item.item_id for item in served]
    if not found == over_rest[: len(found)] == in_process[: len(found)]:
        raise RuntimeError(f"gRPC, REST and the SavedModel differ: {found}, {over_rest}, {in_process}")
    titles = data.items["title"].to_numpy()
    read = titles[split.train.histories.row(user)[-_FILMS_READ:] - 1]
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
    with silent_stderr():
        model = ServedModel(version)
        answer = model(signature, **inputs)
    model.close()
    return answer


def _ask_what_if(version: Path, data: Dataset, console: Console) -> None:
    """What comes next for two visitors whom no model knows, from their films alone."""
    visitors = _two_tastes(data)
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


def _two_tastes(data: Dataset) -> np.ndarray:
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


def _tell_files(console: Console, out: Path, versions: list[Path], total: float) -> None:
    console.print(f"\n  {out / 'report.json'}, {out / 'report.png'}", highlight=False)
    shown = [out / version.relative_to(out.absolute()) for version in versions]
    for version in shown:
        console.print(f"  {version}: a SavedModel for TF Serving", highlight=False)
    console.print(f"  tfllmrec serve {shown[0].parent}: the model server again", highlight=False)
    console.print(f"  done in {total / 60:.1f} minutes\n", style="dim", highlight=False)


@contextmanager
def _timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started
