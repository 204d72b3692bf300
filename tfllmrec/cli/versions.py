"""Commands that publish versions to a model repository and move their labels."""

from collections.abc import Collection
from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import app, stage
from tfllmrec.errors import InputError

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="Folder of a model: models/films.")]


@app.command()
def publish(
    version: Annotated[Path, typer.Argument(metavar="VERSION", help="Folder of a version: exports/films/2.")],
    repository: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Model repository; default: parent of the model's folder.")
    ] = None,
    allow_ops: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            help="Operations that may reach files or the network, such as ReadFile,WriteFile; default: none.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Check a version and publish it in a model repository.

    It becomes the canary, or stable if the model has no stable version.
    """
    if not version.is_dir():
        raise InputError(f"publish: {version} is not a folder; give a version's folder such as models/films/2")
    publish_version(version, repository, [name.strip() for name in allow_ops.split(",") if name.strip()])


@app.command()
def promote(model: ModelFolder) -> None:
    """Make the canary stable.

    The former stable version stays loaded with the label previous.
    """
    with stage(f"Promoting {model}"):
        from tfllmrec.repository import Repository

        labels = Repository.of(model).promote(_name(model))
    print(_format_labels(labels))


@app.command()
def rollback(
    model: ModelFolder,
    canary: Annotated[bool, typer.Option("--canary", help="Remove the canary label instead.")] = False,
) -> None:
    """Make the previous version stable again."""
    with stage(f"Rolling back {model}"):
        from tfllmrec.repository import Repository

        labels = Repository.of(model).rollback(_name(model), canary=canary)
    print(_format_labels(labels))


@app.command()
def prune(
    model: ModelFolder,
    keep: Annotated[
        int, typer.Option(metavar="N", help="Number of newest versions to keep, besides those with a label.")
    ] = 3,
) -> None:
    """Remove old versions without a label."""
    with stage(f"Pruning {model}"):
        from tfllmrec.repository import Repository

        removed = Repository.of(model).prune(_name(model), keep=keep)
    print(f"removed: {', '.join(map(str, removed)) or 'none'}")


def publish_version(version: Path, repository: Path | None = None, allow_ops: Collection[str] = ()) -> None:
    """Publish a version; print its folder on stdout and the model's labels on stderr.

    Disables XLA for the rest of the process, because TF Serving runs without it.

    Args:
        version: folder of the version.
        repository: model repository; None for the repository that contains the version.
        allow_ops: names of operations that may reach outside the graph.
    """
    from tfllmrec.quiet import suppress_stderr

    with suppress_stderr(), stage(f"Publishing {version}"):
        from tfllmrec.export.ops import of_scann, ops_of
        from tfllmrec.repository import Repository
        from tfllmrec.serving.session import disable_xla

        disable_xla()
        destination = Repository(repository) if repository else Repository.of(version.absolute().parent)
        published = destination.publish(version, allow_ops=allow_ops)
        labels, needs_scann = destination.labels(published.parent.name), of_scann(ops_of(published))
    print(published)
    typer.echo(_format_labels(labels), err=True)
    if needs_scann:
        typer.echo("Stock TF Serving cannot load this version: it needs a build with ScaNN's operations.", err=True)


def _format_labels(labels: dict[str, int]) -> str:
    return ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))


def _name(model: Path) -> str:
    return model.absolute().name
