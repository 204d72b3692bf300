"""Commands for tables, before anything is fitted."""

from pathlib import Path
from typing import Annotated

import typer

from tfllmrec.cli.app import app


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
    from tfllmrec.data.pseudonymisation import pseudonymise_folder, read_key

    for note in pseudonymise_folder(data, out, read_key(key_file), k=k, drop_text=drop_text):
        print(note)


@app.command()
def vectors(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder of tables, or of new items alone.")],
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="A new folder for the tables.")],
    columns: Annotated[str, typer.Option(metavar="NAME,NAME", help="What is read.")] = "title,categories,text",
    word2vec: Annotated[
        Path | None,
        typer.Option(help="Word2Vec content, for a column `word2vec`; learnt and kept there if there is none."),
    ] = None,
    text_model: Annotated[
        str, typer.Option(help="A pretrained BERT, for a column `text_vector`: a folder, a preset or hf://...")
    ] = "",
) -> None:
    """Add vectors of the items' texts to a data set, for `train --set vectors=word2vec,text_vector`."""
    from tfllmrec.content.enrich import enrich

    asked = tuple(name.strip() for name in columns.split(",") if name.strip())
    enrich(data, out, columns=asked, word2vec=word2vec, text_model=text_model or None, progress=True)
    print(out)
