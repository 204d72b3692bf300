"""Commands that fit families and evaluate them."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from tfllmrec.cli.app import AsJson, DateFormat, Encoding, RunFolder, Separator, app, stage
from tfllmrec.errors import InputError
from tfllmrec.models.registry import FAMILIES


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder for the report and the export.")] = Path(
        "quickstart"
    ),
    full: Annotated[bool, typer.Option("--full", help="Fit all families, in twelve minutes.")] = False,
) -> None:
    """Fit, compare, export and query models on film ratings.

    Takes two minutes on two cores.
    """
    from rich.console import Console

    from tfllmrec.quickstart import quickstart as run_quickstart

    run_quickstart(out, Console(), full=full)


@app.command()
def train(
    family: Annotated[str, typer.Argument(metavar="FAMILY", help=f"{', '.join(FAMILIES)}.")],
    data: Annotated[
        str, typer.Option(metavar="DATA", help="demo, ml-100k, ml-1m, ml-latest-small, or a folder of tables.")
    ],
    out: Annotated[Path, typer.Option(metavar="RUN", help="New folder for the run.")],
    epochs: Annotated[int | None, typer.Option(metavar="N", help="Maximum number; the family has a default.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Option of the family; may be repeated. Python's help(tfllmrec.TwoTower) lists them for two_tower, "
            "and likewise for other families.",
        ),
    ] = None,
    min_item_interactions: Annotated[
        int | None, typer.Option(metavar="N", help="Drop items with fewer; 5 for demo, else 1.")
    ] = None,
    separator: Separator = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
    by_scenario: Annotated[
        bool, typer.Option("--by-scenario", help="Hold out the last items of each user and scenario.")
    ] = False,
    refit: Annotated[bool, typer.Option("--refit", help="Fit again with the validation items, for serving.")] = False,
    tensorboard: Annotated[Path | None, typer.Option(metavar="FOLDER", help="Folder for TensorBoard logs.")] = None,
) -> None:
    """Fit a family on a data set and save it as a run.

    After an interruption, the same command resumes after the last finished epoch.
    """
    if out.exists():
        raise InputError(f"{out} already exists: choose another folder for the run")
    family_options = _parse_options(options or [])
    if epochs is not None:
        family_options["epochs"] = epochs

    unfinished = out.with_name(f"{out.name}.unfinished")
    with stage(f"Training {family}") as running:
        from tfllmrec.training import progress, runs

        callbacks = [progress.EpochProgress(running), *runs.tensorboard_logs(tensorboard)]
        source = runs.Source.of(
            data,
            min_item_interactions,
            by_scenario=by_scenario,
            separator=separator,
            encoding=encoding,
            date_format=date_format,
        )
        run = runs.train(family, source, family_options, refit=refit, callbacks=callbacks, backup=unfinished)
        run.save(out)
    shutil.rmtree(unfinished, ignore_errors=True)
    validation = run.training_log.get("val_ndcg@10", ())
    best = (
        f", validation ndcg@10 {max(validation):.4f} at epoch {validation.index(max(validation)) + 1}"
        if validation
        else ""
    )
    typer.echo(f"{family} fitted in {run.seconds:.0f} s{best}: {out}", err=True)


@app.command()
def evaluate(
    run: RunFolder,
    cold: Annotated[
        bool, typer.Option("--cold", help="Also evaluate on new items and new users; fits the family twice more.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run on the test targets of its data set.

    A multi_task run is also evaluated on each of its tasks.
    """
    with stage(f"Evaluating {run}"):
        from tfllmrec.training.runs import Run

        loaded = Run.load(run)
        data, targets = loaded.test()
        recommender = loaded.recommender
        scores = recommender.evaluate(targets)
        tasks = recommender.evaluate_tasks(data, targets)
        parts: dict[str, Any] = {"multi_task": tasks} if tasks else {}
    if cold:
        from tfllmrec.training.cold import cold_scores
        from tfllmrec.training.progress import EpochProgress

        with stage("Fitting without cold items and users") as running:
            parts["cold"] = cold_scores(recommender, data, callbacks=[EpochProgress(running)])
    _print_scores(recommender.family, scores, parts, as_json=as_json)


def _print_scores(family: str, scores: dict[str, float], parts: dict[str, Any], *, as_json: bool) -> None:
    from rich.console import Console

    from tfllmrec.evaluation.report import cold_table, multi_task_table, plain, score_table

    if as_json:
        print(json.dumps(plain(scores | parts)))
        return
    console = Console()
    console.print(score_table({family: scores}))
    if "multi_task" in parts:
        console.print(multi_task_table(parts["multi_task"]))
    if "cold" in parts:
        console.print(cold_table({family: parts["cold"]}))


def _parse_options(assignments: list[str]) -> dict[str, Any]:
    """Parse `key=value` texts to a dictionary."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise InputError(f"--set {key}: write it as KEY=VALUE")
    return {key: value for key, _, value in pairs}
