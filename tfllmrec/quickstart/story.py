"""The quickstart's story: the models fitted and compared, exported and asked."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.padding import Padding

from tfllmrec.data import Dataset, Split, leave_one_out, load_dataset
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.metrics import ndcg, summarise
from tfllmrec.evaluation.plots import plot_report
from tfllmrec.evaluation.report import Scores, cold_table, interest_table, multi_task_table, score_table, write_report
from tfllmrec.export import export
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.cascade.model import Cascade
from tfllmrec.models.multi_task.model import MultiTask
from tfllmrec.models.registry import FAMILIES, model_class
from tfllmrec.quickstart.what_if import ask_for_a_user, ask_what_if
from tfllmrec.stages import stage
from tfllmrec.training.cold import cold_scores
from tfllmrec.training.multi_task import multi_task_report
from tfllmrec.training.progress import EpochProgress

_REFERENCE = "markov_chain"
_SHOWN_METRICS = ("ndcg@10", "recall@10", "mrr@10", "coverage@10")  # what 80 columns have room for
_FILMS_READ = 5  # by the user who is asked about, at least
# A cross-encoder is for short lists, and the cascade is joined of others.
_FITTED = [name for name in FAMILIES if name not in ("cross_encoder", "cascade")]
# What two families choose themselves takes four minutes each. Narrow, in many small steps, they take one.
_NARROW: dict[str, Any] = {"dim": 96, "units": 96, "input_dropout": 0.3, "dropout": 0.3, "label_smoothing": 0.1}
_QUICK = {**_NARROW, "batch_size": 24, "warmup": 0}
_OPTIONS = {"next_item": {**_QUICK, "epochs": 12}, "multi_task": {**_QUICK, "epochs": 8}}
_PARTS, _RANKER = ("two_tower", "next_item"), "bert_ranker"  # of the cascade
_EXPORTED = ("two_tower", "next_item")
_COLD = ("popularity", "word2vec", "two_tower")


def quickstart(out: Path, console: Console) -> None:
    """Fit the families on the demo data, compare them, export the two that read histories best, and ask those.

    Three of them are joined to a cascade. The two-tower model is asked for a user, through a model server; the
    next-item model for two visitors. Of the joint model its tasks, its experts and that user's interests are told.
    Writes `report.json`, `report.png`, `export/two_tower/<version>/` and `export/next_item/<version>/` to a folder.

    Args:
        out: the folder.
        console: where the story is told.

    Raises:
        InputError: the demo data is not installed, or the folder cannot be written to.
    """
    seconds: dict[str, float] = {}
    with _timed(seconds, "total"):
        data = load_dataset("demo")
        split = leave_one_out(data)
        _tell_data(console, data, split)
        fitted = _fit_all(split, seconds, console)
        models, intervals = _compare(fitted, split)
        shown = {name: {key: scores[key] for key in _SHOWN_METRICS} for name, scores in models.items()}
        console.print(Padding(score_table(shown, intervals, _REFERENCE), (1, 0, 0, 0)))
        model = fitted["multi_task"]
        assert isinstance(model, MultiTask), "who learns several tasks"
        joint = _tell_joint(model, data, split, console)
        with _timed(seconds, "cold"):
            cold = _compare_cold(fitted, data, console)
        console.print(cold_table(cold))
        with _timed(seconds, "export"):
            versions = {name: export(fitted[name], out / "export" / name) for name in _EXPORTED}
        user = int(np.flatnonzero(split.train.histories.lengths >= _FILMS_READ)[0])
        with _timed(seconds, "serve"):
            ask_for_a_user(versions["two_tower"], split.train, user, console)
        joint |= {"interests": _tell_interests(model, split.train, user, console)}
        with _timed(seconds, "what_if"):
            ask_what_if(versions["next_item"], data, console)
    parts = {"joint": joint, "cold": cold}
    write_report(out / "report.json", {"name": "demo"} | data.summary(), models, seconds, parts)
    # A ranker's curve is of lists, which the others' of all items are not to be compared with.
    curves = {
        name: model.training_log for name, model in fitted.items() if model.training_log and not model.ranks_candidates
    }
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
            model = model_class(name)(**_OPTIONS.get(name, {}))
            with stage(f"Training {name}", console) as running:
                progress = EpochProgress(running)
                fitted[name] = model.fit(split.train, split.validation, callbacks=[progress], verbose=0)
        _tell_fit(console, fitted[name], seconds[name])
    with _timed(seconds, "cascade"):
        ranker = fitted[_RANKER]
        cascade = Cascade(retrievers=[fitted[name] for name in _PARTS], ranker=ranker)
        fitted["cascade"] = cascade.fit(split.train, split.validation)
    _tell_fit(console, fitted["cascade"], seconds["cascade"])
    return fitted


def _tell_fit(console: Console, fitted: Recommender, seconds: float) -> None:
    epochs = len(fitted.training_log.get("loss", ()))
    told = f", {epochs} epochs" if epochs else ""
    console.print(f"  [green]✓[/green] {fitted.family:<14}[dim]{seconds:6.1f} s{told}[/dim]")


def _compare(fitted: dict[str, Recommender], split: Split) -> tuple[dict, dict]:
    """Metrics of every family on the test targets, and intervals of the differences to the reference."""
    rankings = {name: model.rank_targets(split.test) for name, model in fitted.items()}
    models = {name: summarise(ranking, split.train.item_counts) for name, ranking in rankings.items()}
    gains = {name: ndcg(ranking.ranks, 10) for name, ranking in rankings.items()}
    others = [name for name in gains if name != _REFERENCE]
    return models, {name: difference(gains[name], gains[_REFERENCE]) for name in others}


def _tell_joint(model: MultiTask, data: Dataset, split: Split, console: Console) -> dict[str, Any]:
    """The tasks that were learnt together, and which experts they listen to."""
    joint = multi_task_report(model, data, split.test)
    console.print("The tasks of multi_task, and how much each listens to every expert", style="bold")
    console.print(multi_task_table(joint))
    return joint


def _tell_interests(model: MultiTask, data: Dataset, user: int, console: Console) -> dict[str, Any]:
    """What a user's next films are likely to be about."""
    user_id = str(data.user_vocabulary.tokens[user])
    table = model.interests([user_id])
    profile: dict[str, float] = dict(zip(table["label"], table["score"], strict=True))
    console.print(Padding(interest_table(user_id, profile), (1, 0, 0, 0)))
    console.print("  the chance that one of the next films is of a kind, from multi_task", style="dim")
    return {"user_id": user_id, "labels": profile}


def _compare_cold(fitted: dict[str, Recommender], data: Dataset, console: Console) -> dict[str, Scores]:
    """Metrics on items and users that a family has never met; each is fitted twice more."""
    found: dict[str, Scores] = {}
    for name in _COLD:
        with stage(f"Training {name} without cold items and users", console) as running:
            found[name] = cold_scores(fitted[name], data, callbacks=[EpochProgress(running)])
    return found


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
