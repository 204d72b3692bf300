"""Commands that query a run or a model server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfllmrec.cli.app import AsJson, app, stage
from tfllmrec.cli.recommend_all import write_recommendations
from tfllmrec.errors import InputError

if TYPE_CHECKING:
    from tfllmrec.models.base.recommender import Recommender
    from tfllmrec.serving import Client

Run = Annotated[
    Path | None, typer.Argument(metavar="RUN", help="Folder of a run, written by `train`.", show_default=False)
]
Server = Annotated[str, typer.Option(metavar="HOST:PORT", help="Query a model server over gRPC instead of a run.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="Name of the model on the server.")]
User = Annotated[str, typer.Option(metavar="ID", help="User id.")]
History = Annotated[str, typer.Option(metavar="ID,ID", help="Item ids, oldest first; replaces the stored history.")]
Scenario = Annotated[str, typer.Option(metavar="NAME", help="Scenario, for models with scenarios.")]

Rows = list[dict[str, Any]]


@app.command()
def recommend(
    run: Run = None,
    server: Server = "",
    model: Model = "",
    user: User = "",
    history: History = "",
    exclude: Annotated[str, typer.Option(metavar="ID,ID", help="Item ids to exclude from the results.")] = "",
    features: Annotated[
        str, typer.Option(metavar="NAME=VALUE,...", help="User features, for models with user features.")
    ] = "",
    scenario: Scenario = "",
    k: Annotated[int, typer.Option("-k", metavar="N", help="Number of results.")] = 10,
    for_all: Annotated[bool, typer.Option("--all", help="Recommend for all users of RUN and write --out.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="New folder for Parquet files, with --all; or an interrupted one."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items for a user, a history, or all users.

    After an interruption, the same command with --all resumes after the last finished part.
    """
    if for_all or out is not None:
        if run is None or out is None or not for_all or user or history or exclude or features or server or as_json:
            raise InputError("recommend: --all needs RUN and --out FOLDER, and goes with -k and --scenario only")
        write_recommendations(run, out, k=k, scenario=scenario)
        return
    if not user and not history and not features:
        raise InputError("recommend: give --user, --history, or both")
    request = _request(user, history, scenario) | {"k": k, "exclude": [exclude.split(",")]}
    if features:
        request["user_features"] = [[feature.strip() for feature in features.split(",")]]

    def query_server(client: "Client") -> Rows:
        results = client.recommend(**request)[0]
        return [{"rank": rank, **result._asdict()} for rank, result in enumerate(results, 1)]

    def query_run(recommender: "Recommender") -> Rows:
        table = recommender.recommend(**request)
        return list(json.loads(table[["rank", "item_id", "title", "score"]].to_json(orient="records")))

    _print_results("recommend", run, server, model, query_run, query_server, as_json=as_json)


@app.command()
def interests(
    run: Run = None,
    server: Server = "",
    model: Model = "",
    user: User = "",
    history: History = "",
    scenario: Scenario = "",
    text: Annotated[str, typer.Option(metavar="TEXT", help="Text that the user wrote or searches for.")] = "",
    as_json: AsJson = False,
) -> None:
    """Predict a user's interests: labels with scores, best first.

    Requires a multi_task model with the task interests.
    """
    if not user and not history and not text:
        raise InputError("interests: give --user, --history, or both, or --text")
    request = _request(user, history, scenario) | ({"texts": [[text]]} if text else {})

    def query_server(client: "Client") -> Rows:
        return [{"label": label, "score": score} for label, score in client.interests(**request)[0]]

    def query_run(recommender: "Recommender") -> Rows:
        table = recommender.interests(**request)
        return list(json.loads(table[["label", "score"]].to_json(orient="records")))

    _print_results("interests", run, server, model, query_run, query_server, as_json=as_json)


def _request(user: str, history: str, scenario: str) -> dict[str, Any]:
    request: dict[str, Any] = {"users": [user], "histories": [history.split(",")]}
    return {**request, "scenarios": [scenario]} if scenario else request


def _print_results(
    command: str,
    run: Path | None,
    server: str,
    model: str,
    query_run: Callable[["Recommender"], Rows],
    query_server: Callable[["Client"], Rows],
    *,
    as_json: bool,
) -> None:
    """Query the run, or the server if there is no run, and print the results."""
    if (run is None) == (not server) or bool(server) != bool(model):
        raise InputError(f"{command}: give a run, or --server HOST:PORT and --model NAME")
    if run is None:
        from tfllmrec.serving import Client

        with Client(server, model) as client:
            rows = query_server(client)
    else:
        with stage(f"Loading {run}"):
            from tfllmrec.training import runs

            rows = query_run(runs.Run.load(run).recommender)
    print(json.dumps(rows, ensure_ascii=False)) if as_json else _print_table(rows)


def _print_table(rows: Rows) -> None:
    """Print rows with the same keys as a table."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, header_style="bold")
    for column, value in (rows[0] if rows else {}).items():
        table.add_column(column, justify="left" if isinstance(value, str) else "right")
    for row in rows:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row.values()))
    Console().print(table)
