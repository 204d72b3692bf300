"""Export of new items as the next version of a model, without training."""

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.card import signatures_of
from tfllmrec.export.export import export
from tfllmrec.export.format import check_format
from tfllmrec.export.ops import of_scann, ops_of
from tfllmrec.export.precision import precision_of
from tfllmrec.export.target import target_of
from tfllmrec.export.versions import version_folders
from tfllmrec.models.base.recommender import Recommender

_ITEM_IDS = "ids/items/ids/values/.ATTRIBUTES/VARIABLE_VALUE"  # checkpoint key in a `Servable`


def refresh(recommender: Recommender, folder: str | Path, items: pd.DataFrame, *, name: str | None = None) -> Path:
    """Export the next version of a recommender, with new items that are scored by their content.

    Scores of known items are unchanged.

    Args:
        recommender: the exported recommender.
        folder: the model base path of an earlier export; the new version has the same number of results per request,
            target, precision and index as the newest one.
        items: table with item_id, title and the content that the family reads. Known items are ignored;
            items of earlier refreshes must be included, because the recommender does not have them.
        name: model name in TF Serving; by default the folder's name.

    Returns:
        The version's folder.

    Raises:
        InputError: If the folder has no version, or its newest version has another format or serves items that the new
            one lacks; or as in `Recommender.with_items` and `export`. An error leaves no files behind.

    Example:
        >>> refresh(recommender, "models/films", new_films)
        PosixPath('models/films/2')
    """
    versions = version_folders(Path(folder))
    if not versions:
        raise InputError(f"refresh: {folder} has no version yet; export the recommender there first")
    newest = versions[max(versions)]
    check_format(newest)
    extended = recommender.with_items(items)
    served = _served_items(newest)
    lost = served[extended.fitted_data.items.lookup(served) == 0]
    if len(lost):
        raise InputError(
            f"refresh: {len(lost):,} items that {newest} serves are neither in the recommender nor in the table "
            f"({', '.join(map(repr, lost[:3]))}): add them"
        )
    return export(
        extended,
        folder,
        top_k=_top_k(newest),
        name=name,
        target=target_of(newest).name,
        precision=precision_of(newest),
        index="scann" if of_scann(ops_of(newest)) else "exact",
    )


def _served_items(version: Path) -> np.ndarray:
    """Return the item ids of an exported version."""
    try:
        ids = tf.train.load_variable(str(version / "variables" / "variables"), _ITEM_IDS)
    except (ValueError, tf.errors.OpError) as error:
        raise InputError(f"refresh: {version} is damaged or not an export of a recommender") from error
    return np.array([item_id.decode() for item_id in ids[1:]], object)


def _top_k(version: Path) -> int:
    """Return the number of results per request of a version."""
    signatures = signatures_of(version)
    signature = signatures.get("retrieve") or signatures["recommend"]  # a model with scenarios has no `retrieve`
    return signature.outputs["item_ids"].tensor_shape.dim[1].size
