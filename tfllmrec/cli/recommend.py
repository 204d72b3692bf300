"""Commands that ask a run, or a model server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tfllmrec.cli.app import AsJson, app
from tfllmrec.errors import InputError

if TYPE_CHECKING:
    from tfllmrec.models.base.recommender import Recommender
    from tfllmrec.serving import Client

Run = Annotated[Path | None, typer.Argument(metavar="RUN", help="A folder written by `train`.", show_default=False)]
Server = Annotated[str, typer.Option(metavar="HOST:PORT", help="Ask a model server (gRPC), not a run.")]
Model = Annotated[str, typer.Option(metavar="NAME", help="The model's name there.")]
User = Annotated[str, typer.Option(help="A user id.")]
History = Annotated[str, typer.Option(metavar="ID,ID", help="Items, oldest first, instead of the stored ones.")]
Scenario = Annotated[str, typer.Option(metavar="NAME", help="Where it is to be shown, for models that read it.")]

Rows = list[dict[str, Any]]


@app.command()
def recommend(
    run: Run = None,
    server: Server = "",
    model: Model = "",
    user: User = "",
    history: History = "",
    exclude: Annotated[str, typer.Option(metavar="ID,ID", help="Items that must not come back.")] = "",
    features: Annotated[
        str, typer.Option(metavar="NAME=VALUE,...", help="What is told of the user, for models that read it.")
    ] = "",
    scenario: Scenario = "",
    k: Annotated[int, typer.Option("-k", help="How many.")] = 10,
    as_json: AsJson = False,
) -> None:
    """The best items for a user, for a history given on the spot, or for both."""
    if not user and not history and not features:
        raise InputError("recommend: give --user, --history, or both")
    asked: dict[str, Any] = _asked(user, history, scenario) | {"k": k, "exclude": [exclude.split(",")]}
    if features:
        asked["user_features"] = [[feature.strip() for feature in features.split(",")]]

    def of_server(client: "Client") -> Rows:
        places = client.recommend(**asked)[0]
        return [{"rank": rank, **place._asdict()} for rank, place in enumerate(places, 1)]

    def of_run(recommender: "Recommender") -> Rows:
        table = recommender.recommend(**asked)
        return list(json.loads(table[["rank", "item_id", "title", "score"]].to_json(orient="records")))

    _answer("recommend", run, server, model, of_run, of_server, as_json=as_json)


@app.command()
def interests(
    run: Run = None,
    server: Server = "",
    model: Model = "",
    user: User = "",
    history: History = "",
    scenario: Scenario = "",
    text: Annotated[str, typer.Option(help="what the user wrote, or searches for")] = "",
    as_json: AsJson = False,
) -> None:
    """What a user is interested in, for models that learnt it: labels, the strongest first."""
    if not user and not history and not text:
        raise InputError("interests: give --user, --history, or both, or --text")
    asked = _asked(user, history, scenario) | ({"texts": [[text]]} if text else {})

    def of_server(client: "Client") -> Rows:
        return [{"label": label, "score": score} for label, score in client.interests(**asked)[0]]

    def of_run(recommender: "Recommender") -> Rows:
        from tfllmrec.models.multi_task.model import MultiTask

        if not isinstance(recommender, MultiTask):
            raise InputError(f"interests: this {recommender.family} learnt none; a multi_task does")
        table = recommender.interests(**asked)
        return list(json.loads(table[["label", "score"]].to_json(orient="records")))

    _answer("interests", run, server, model, of_run, of_server, as_json=as_json)


def _asked(user: str, history: str, scenario: str) -> dict[str, Any]:
    asked: dict[str, Any] = {"users": [user], "histories": [history.split(",")]}
    return {**asked, "scenarios": [scenario]} if scenario else asked


def _answer(
    command: str,
    run: Path | None,
    server: str,
    model: str,
    of_run: Callable[["Recommender"], Rows],
    of_server: Callable[["Client"], Rows],
    *,
    as_json: bool,
) -> None:
    """Ask whom the options name, and print."""
    if (run is None) == (not server) or bool(server) != bool(model):
        raise InputError(f"{command}: give a run, or --server HOST:PORT and --model NAME")
    if run is None:
        from tfllmrec.serving import Client

        with Client(server, model) as client:
            rows = of_server(client)
    else:
        from tfllmrec.training import runs

        rows = of_run(runs.Run.load(run).recommender)
    print(json.dumps(rows, ensure_ascii=False)) if as_json else _print_table(rows)


def _print_table(rows: Rows) -> None:
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
