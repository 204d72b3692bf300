"""The steps as commands. Heavy imports wait until a command runs, so that `--help` is quick."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from tfllmrec.errors import InputError
from tfllmrec.quiet import quiet_tensorflow

app = typer.Typer(
    help="Recommenders for TensorFlow and Keras 3: fit, compare, export to TF Serving.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A folder written by `train`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """The `tfllmrec` command: an error the user can mend is one sentence on stderr and exit status 2."""
    sys.argv = [sys.argv[0], *_without_true(sys.argv[1:])]
    try:
        app()
    except InputError as error:
        print(f"tfllmrec: {error}", file=sys.stderr)
        sys.exit(2)


@app.callback()
def _prepare() -> None:
    quiet_tensorflow()


@app.command()
def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for the report and the export.")] = Path("quickstart"),
) -> None:
    """Fit, compare, export and ask: everything on real film ratings, in ten minutes."""
    from rich.console import Console

    from tfllmrec.quickstart import quickstart as tell

    tell(out, Console())


@app.command()
def pseudonymise(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of tables.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the tables.")],
    key_file: Annotated[
        Path | None, typer.Option(help="The secret key; by default it is TFLLMREC_PSEUDONYM_KEY.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", metavar="K", help="Blank features until K users share each combination.")
    ] = None,
    drop_text: Annotated[bool, typer.Option("--drop-text", help="Leave out what users wrote.")] = False,
) -> None:
    """Write a data set with pseudonyms in place of user ids. That is not anonymity: see docs/privacy.md."""
    from tfllmrec.data.privacy import pseudonymise_folder, read_key

    for note in pseudonymise_folder(data, out, read_key(key_file), k=k, drop_text=drop_text):
        print(note)


@app.command()
def train(
    family: Annotated[str, typer.Argument(help="popularity, markov_chain, ease, two_tower, next_item")],
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
    source = Source.of(data, min_item_interactions)
    run = fit(family, source, chosen, refit=refit, callbacks=callbacks, backup=unfinished)
    run.save(out)
    shutil.rmtree(unfinished, ignore_errors=True)
    validation = run.history.get("val_ndcg@10", ())
    told = (
        f", validation ndcg@10 {max(validation):.4f} at epoch {validation.index(max(validation)) + 1}"
        if validation
        else ""
    )
    console.print(f"{family} fitted in {run.seconds:.0f} s{told}: {out}", highlight=False, soft_wrap=True)


@app.command()
def evaluate(run: RunFolder, as_json: AsJson = False) -> None:
    """Metrics of a run on the test targets of its data."""
    from rich.console import Console

    from tfllmrec.evaluation.report import score_table
    from tfllmrec.training.runs import Run

    loaded = Run.load(run)
    scores = loaded.evaluate()
    if as_json:
        print(json.dumps({name: round(value, 6) for name, value in scores.items()}))
    else:
        Console().print(score_table({loaded.recommender.family: scores}))


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="EXPORT", help="TF Serving's model base path.")],
    version: Annotated[int | None, typer.Option(help="By default the next one.")] = None,
    top_k: Annotated[int, typer.Option(help="Items in an answer.")] = 100,
) -> None:
    """Write a run as a SavedModel for TF Serving."""
    from tfllmrec.export import export as write
    from tfllmrec.training.runs import Run

    print(write(Run.load(run).recommender, out, version=version, top_k=top_k))


@app.command()
def refresh(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="EXPORT", help="TF Serving's model base path, with a version.")],
    items: Annotated[Path, typer.Option(metavar="FOLDER", help="Where a table of items is, with new ones.")],
) -> None:
    """Add new items to what is served, as a new version and with no training: they are known by their content."""
    from tfllmrec.data.reading import read_table
    from tfllmrec.export import refresh as write
    from tfllmrec.training.runs import Run

    table = read_table(items, "items")
    if table is None:
        raise InputError(f"{items} has neither items.parquet nor items.csv")
    print(write(Run.load(run).recommender, folder, table))


@app.command()
def serve(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="EXPORT", help="A model's folder, written by `export`.", show_default=False),
    ] = None,
    model_name: Annotated[str, typer.Option("--model_name", help="By default the folder's name.")] = "",
    model_base_path: Annotated[Path | None, typer.Option("--model_base_path", help="The same as EXPORT.")] = None,
    model_config_file: Annotated[
        Path | None, typer.Option("--model_config_file", help="Text of a ModelServerConfig: several models, versions.")
    ] = None,
    host: Annotated[str, typer.Option("--host", help="Where to listen; 0.0.0.0 for everywhere.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="For gRPC; 0 takes a free one.")] = 8500,
    rest_api_port: Annotated[
        int, typer.Option("--rest_api_port", min=0, max=65535, help="For REST; 0 takes a free one.")
    ] = 8501,
    enable_batching: Annotated[
        bool, typer.Option("--enable_batching", help="Join requests that wait together.")
    ] = False,
    batching_parameters_file: Annotated[
        Path | None, typer.Option("--batching_parameters_file", help="Text of a BatchingParameters message.")
    ] = None,
) -> None:
    """Serve exports over gRPC and REST, as tensorflow_model_server does; for one machine."""
    if sum(place is not None for place in (folder, model_base_path, model_config_file)) != 1:
        raise InputError("serve: give either the folder of an export, or --model_base_path, or --model_config_file")
    if batching_parameters_file and not enable_batching:
        raise InputError("serve: --batching_parameters_file needs --enable_batching")

    from tfllmrec.serving.batching_parameters import BatchingParameters
    from tfllmrec.serving.models import one_model, read_config
    from tfllmrec.serving.serve import serve as answer

    if model_config_file:
        configs = read_config(model_config_file)
    elif base_path := folder or model_base_path:
        configs = one_model(model_name or base_path.absolute().name, base_path)
    batching = None
    if enable_batching:
        batching = (
            BatchingParameters.from_file(batching_parameters_file) if batching_parameters_file else BatchingParameters()
        )
    answer(configs, host=host, port=port, rest_api_port=rest_api_port, batching=batching)


@app.command()
def recommend(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="A folder written by `train`.", show_default=False)
    ] = None,
    server: Annotated[str, typer.Option(metavar="HOST:PORT", help="Ask a model server (gRPC), not a run.")] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="The model's name there.")] = "",
    user: Annotated[str, typer.Option(help="A user id.")] = "",
    history: Annotated[
        str, typer.Option(metavar="ID,ID", help="Items, oldest first, instead of the stored ones.")
    ] = "",
    exclude: Annotated[str, typer.Option(metavar="ID,ID", help="Items that must not come back.")] = "",
    features: Annotated[
        str, typer.Option(metavar="NAME=VALUE,...", help="What is told of the user, for models that read it.")
    ] = "",
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """The best items for a user, for a history given on the spot, or for both."""
    if not user and not history and not features:
        raise InputError("recommend: give --user, --history, or both")
    if (run is None) == (not server) or bool(server) != bool(model):
        raise InputError("recommend: give a run, or --server HOST:PORT and --model NAME")
    asked: dict[str, Any] = {"users": [user], "histories": [history.split(",")], "exclude": [exclude.split(",")]}
    if features:
        asked["user_features"] = [features.split(",")]
    if run is None:
        from tfllmrec.serving import Client

        with Client(server, model) as client:
            places = client.recommend(k=k, **asked)[0]
        rows = [{"rank": rank, **place._asdict()} for rank, place in enumerate(places, 1)]
    else:
        from tfllmrec.training.runs import Run

        table = Run.load(run).recommender.recommend(k=k, **asked)
        rows = json.loads(table[["rank", "item_id", "title", "score"]].to_json(orient="records"))
    print(json.dumps(rows, ensure_ascii=False)) if as_json else _print_table(rows)


def _without_true(arguments: list[str]) -> list[str]:
    """`--flag=true` as `--flag`, and no `--flag=false`: tensorflow_model_server takes its flags in this form too."""
    on = [re.sub(r"^(--\w+)=true$", r"\1", argument) for argument in arguments]
    return [argument for argument in on if not re.fullmatch(r"--\w+=false", argument)]


def _options(assignments: list[str]) -> dict[str, Any]:
    """`key=value` texts as a dictionary."""
    pairs = [assignment.partition("=") for assignment in assignments]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise InputError(f"--set {key}: write it as KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Rows with the same keys as a plain table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, header_style="bold")
    for column, value in (rows[0] if rows else {}).items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
