"""Commands that fit families and compare them."""

import json
import shutil
from pathlib import Path
from typing import Annotated, Any

import typer

from tfllmrec.cli.app import AsJson, RunFolder, app
from tfllmrec.errors import InputError
from tfllmrec.models.registry import FAMILIES


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the report and the export.")] = Path("quickstart"),
) -> None:
    """Fit, compare, export and ask: everything on real film ratings, in eleven minutes."""
    from rich.console import Console

    from tfllmrec.quickstart import quickstart as tell

    tell(out, Console())


@app.command()
def train(
    family: Annotated[str, typer.Argument(help=f"{', '.join(FAMILIES)}.")],
    data: Annotated[str, typer.Option(help="demo, ml-100k, ml-1m, ml-latest-small, or a folder of tables.")],
    out: Annotated[Path, typer.Option(metavar="RUN", help="A new folder for the run.")],
    epochs: Annotated[int | None, typer.Option(help="At most; by default the family's choice.")] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="An option of the family; repeat it."),
    ] = None,
    min_item_interactions: Annotated[
        int | None, typer.Option(help="Leave out items with fewer; by default 5 for the demo, else 1.")
    ] = None,
    by_scenario: Annotated[
        bool, typer.Option("--by-scenario", help="Ask for the last item of every scenario, not of every user.")
    ] = False,
    refit: Annotated[bool, typer.Option(help="Fit again with the validation items, to be served.")] = False,
    tensorboard: Annotated[Path | None, typer.Option(help="Folder for TensorBoard logs.")] = None,
) -> None:
    """Fit a family on a data set and keep it as a run. Broken off, the same command goes on after its last epoch."""
    if out.exists():
        raise InputError(f"{out} exists already: choose another folder for the run")
    chosen = _options(options or [])
    if epochs is not None:
        chosen["epochs"] = epochs

    from rich.console import Console

    from tfllmrec.training.progress import EpochProgress
    from tfllmrec.training.runs import Source, tensorboard_logs
    from tfllmrec.training.runs import train as fit

    console = Console(stderr=True)
    callbacks = [EpochProgress(console, family), *tensorboard_logs(tensorboard)]
    unfinished = out.with_name(f"{out.name}.unfinished")
    source = Source.of(data, min_item_interactions, by_scenario=by_scenario)
    run = fit(family, source, chosen, refit=refit, callbacks=callbacks, backup=unfinished)
    run.save(out)
    shutil.rmtree(unfinished, ignore_errors=True)
    validation = run.training_log.get("val_ndcg@10", ())
    told = (
        f", validation ndcg@10 {max(validation):.4f} at epoch {validation.index(max(validation)) + 1}"
        if validation
        else ""
    )
    console.print(f"{family} fitted in {run.seconds:.0f} s{told}: {out}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(
    run: RunFolder,
    cold: Annotated[
        bool,
        typer.Option("--cold", help="On new items and new users too: fits the family twice more, without a tenth."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Metrics of a run on the test targets of its data; of a multi_task, those of every task."""
    from rich.console import Console

    from tfllmrec.evaluation.report import cold_table, multi_task_table, plain, score_table
    from tfllmrec.models.multi_task.model import MultiTask
    from tfllmrec.training.cold import cold_scores
    from tfllmrec.training.multi_task import multi_task_report
    from tfllmrec.training.runs import Run

    loaded = Run.load(run)
    data, targets = loaded.test()
    recommender = loaded.recommender
    scores = recommender.evaluate(targets)
    parts: dict[str, Any] = {}
    if isinstance(recommender, MultiTask):
        parts["joint"] = multi_task_report(recommender, data, targets)
    if cold:
        parts["cold"] = cold_scores(recommender, data)
    if as_json:
        print(json.dumps(plain(scores | parts)))
        return
    console = Console()
    console.print(score_table({recommender.family: scores}))
    if "joint" in parts:
        console.print(multi_task_table(parts["joint"]))
    if "cold" in parts:
        console.print(cold_table({recommender.family: parts["cold"]}))


def _options(assignments: list[str]) -> dict[str, Any]:
    """`key=value` texts as a dictionary."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise InputError(f"--set {key}: write it as KEY=VALUE")
    return {key: value for key, _, value in pairs}
