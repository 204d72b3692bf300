"""Commands that prepare the tables of a data set."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import DateFormat, Encoding, Separator, app, stage


@app.command()
def pseudonymise(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of tables.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder for the tables.")],
    key_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Secret key; default: TFLLMREC_PSEUDONYM_KEY.")
    ] = None,
    k: Annotated[
        int | None, typer.Option("--k", metavar="N", help="Blank user features until N users share each combination.")
    ] = None,
    drop_text: Annotated[bool, typer.Option("--drop-text", help="Leave out texts that users wrote.")] = False,
    separator: Separator = None,
    encoding: Encoding = None,
    date_format: DateFormat = None,
) -> None:
    """Write a data set with pseudonyms instead of user ids.

    Pseudonymous data is not anonymous, see docs/guides/privacy.md.
    """
    with stage(f"Pseudonymising {data}"):
        from tfllmrec.data.pseudonymisation import pseudonymise_folder, read_key

        notes = pseudonymise_folder(
            data,
            out,
            read_key(key_file),
            k=k,
            drop_text=drop_text,
            separator=separator,
            encoding=encoding,
            date_format=date_format,
        )
    for note in notes:
        print(note)


@app.command()
def vectors(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="Folder of tables, or of a table of new items alone.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="New folder for the tables.")],
    columns: Annotated[str, typer.Option(metavar="NAME,NAME", help="Item columns to read.")] = "title,categories,text",
    word2vec: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Word2Vec model for a column `word2vec`; trained and saved there if missing."
        ),
    ] = None,
    text_model: Annotated[
        str,
        typer.Option(
            metavar="MODEL", help="Pretrained BERT for a column `text_vector`: a folder, a preset or hf://..."
        ),
    ] = "",
    separator: Separator = None,
    encoding: Encoding = None,
) -> None:
    """Add vectors of the items' texts to a data set.

    Use them with `train --set vectors=word2vec,text_vector`.
    """
    from rich.console import Console

    names = tuple(name.strip() for name in columns.split(",") if name.strip())
    bars = Console(stderr=True).is_interactive
    with nullcontext() if bars else stage(f"Adding vectors to {data}"):
        from tfllmrec.content.enrich import enrich

        enrich(
            data,
            out,
            columns=names,
            word2vec=word2vec,
            text_model=text_model or None,
            separator=separator,
            encoding=encoding,
            progress=bars,
        )
    print(out)
