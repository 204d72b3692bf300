"""Commands that export a run: a new model, or a new version with new items."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import RunFolder, app, stage


@app.command()
def export(
    run: RunFolder,
    out: Annotated[Path, typer.Option(metavar="EXPORT", help="Base path of the model, for TF Serving.")],
    version: Annotated[int | None, typer.Option(metavar="N", help="Version number; default: the next one.")] = None,
    top_k: Annotated[int, typer.Option(metavar="N", help="Number of results per request.")] = 100,
    target: Annotated[str, typer.Option(metavar="NAME", help="Hardware of TF Serving: cpu, gpu or tpu.")] = "cpu",
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="float32, bfloat16 (half the size; BERT computes in it) or int8 (item vectors in a quarter of the "
            "size). Default: float32, bfloat16 for a TPU.",
            show_default=False,
        ),
    ] = None,
    index: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="exact, or scann for millions of items; scann needs TF Serving built with ScaNN."
        ),
    ] = "exact",
) -> None:
    """Export a run to a SavedModel and publish it.

    It becomes the next version of the model, in the model repository that contains the model's folder.
    """
    from tfllmrec.cli.versions import publish_version

    with stage(f"Exporting {run}"):
        from tfllmrec.export import export as export_run
        from tfllmrec.export.target import target_named
        from tfllmrec.training.runs import Run

        loaded = Run.load(run)
        rounded = target_named(target).precision_or_default(precision) != "float32"
        path = export_run(
            loaded.recommender,
            out,
            version=version,
            top_k=top_k,
            target=target,
            precision=precision,
            index=index,
            validation=loaded.source.split()[1].validation if rounded and not loaded.refitted else None,
            facts=loaded.facts(),
        )
    publish_version(path)


@app.command()
def refresh(
    run: RunFolder,
    folder: Annotated[Path, typer.Argument(metavar="EXPORT", help="Base path of the exported model.")],
    items: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder with a table of items, including new ones.")],
) -> None:
    """Add new items to an exported model, as its next version.

    New items are represented by their content, without training.
    """
    from tfllmrec.cli.versions import publish_version

    with stage(f"Refreshing {folder}"):
        from tfllmrec.data.table_files import read_items
        from tfllmrec.export import refresh as refresh_export
        from tfllmrec.training.runs import Run

        table = read_items(items)
        path = refresh_export(Run.load(run).recommender, folder, table)
    publish_version(path)
