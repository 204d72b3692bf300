"""Commands that move the versions of a model repository, and the labels that clients ask for."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import app
from tfllmrec.errors import InputError

ModelFolder = Annotated[Path, typer.Argument(metavar="MODEL", help="A model's folder in a repository: models/films.")]


@app.command()
def publish(
    version: Annotated[Path, typer.Argument(metavar="VERSION", help="A version's folder: exports/films/2.")],
    repository: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where to; by default it is there already.")
    ] = None,
) -> None:
    """Check a version and have it served: as canary, or as stable where there is none yet."""
    if not version.is_dir():
        raise InputError(f"publish: {version} is no folder; give a version's, such as models/films/2")
    published(version, repository)


@app.command()
def promote(model: ModelFolder) -> None:
    """Make the canary stable. What was stable stays loaded as `previous`."""
    from tfllmrec.repository import Repository

    print(_told(Repository.of(model).promote(_name(model))))


@app.command()
def rollback(
    model: ModelFolder,
    canary: Annotated[bool, typer.Option("--canary", help="Serve the canary no longer; what is stable stays.")] = False,
) -> None:
    """Make the version that was stable before stable again."""
    from tfllmrec.repository import Repository

    print(_told(Repository.of(model).rollback(_name(model), canary=canary)))


@app.command()
def prune(
    model: ModelFolder,
    keep: Annotated[int, typer.Option(help="The newest so many stay, and all that have a label.")] = 3,
) -> None:
    """Remove old versions that nobody is served by."""
    from tfllmrec.repository import Repository

    removed = Repository.of(model).prune(_name(model), keep=keep)
    print(f"removed: {', '.join(map(str, removed)) or 'none'}")


def published(version: Path, repository: Path | None = None) -> None:
    """Publish a version, for good without XLA as TF Serving has it, and print where it is; labels on stderr."""
    from tfllmrec.export.ops import of_scann, ops_of
    from tfllmrec.quiet import suppress_stderr
    from tfllmrec.repository import Repository
    from tfllmrec.serving.session import disable_xla

    disable_xla()
    place = Repository(repository) if repository else Repository.of(version.absolute().parent)
    with suppress_stderr():
        found = place.publish(version)
    print(found)
    typer.echo(_told(place.labels(found.parent.name)), err=True)
    if of_scann(ops_of(found)):
        typer.echo("A stock TF Serving does not load it: one has to be built with ScaNN's operations.", err=True)


def _told(labels: dict[str, int]) -> str:
    return ", ".join(f"{label} {version}" for label, version in sorted(labels.items(), reverse=True))


def _name(model: Path) -> str:
    return model.absolute().name
