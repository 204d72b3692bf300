"""From a fitted recommender to a version folder that TF Serving loads."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.export.card import model_card
from tfllmrec.export.checksums import write_checksums
from tfllmrec.export.layer_modes import switched
from tfllmrec.export.numeric_core import check_compiles
from tfllmrec.export.ops import SCANN, check_ops
from tfllmrec.export.precision import check_precision
from tfllmrec.export.rounding import cost_of_rounding
from tfllmrec.export.saved_model import tag
from tfllmrec.export.scann_index import check_index
from tfllmrec.export.servable import Servable
from tfllmrec.export.target import SERVE, target_named
from tfllmrec.export.versions import free_version
from tfllmrec.export.warmup import write_warmup
from tfllmrec.files import atomic_folder
from tfllmrec.models.base.recommender import Recommender


def export(
    recommender: Recommender,
    folder: str | Path,
    *,
    version: int | None = None,
    top_k: int = 100,
    name: str | None = None,
    target: str = "cpu",
    precision: str | None = None,
    index: str = "exact",
    validation: Targets | None = None,
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write a recommender as `<folder>/<version>/`: a SavedModel, its model card, warm-up requests, checksums.

    `folder` is a model base path of TF Serving, which may be polling it: the version appears in one step.

    Args:
        recommender: a fitted recommender.
        folder: made where it does not exist.
        version: a positive number; None takes the one after the highest there is, or 1.
        top_k: items in an answer; at most the number of items.
        name: what the model is called in TF Serving; by default the folder's name.
        target: "cpu" is for a stock TF Serving. For a "gpu" XLA compiles the cores, and the server needs
            `--xla_gpu_compilation_enabled`. For a "tpu" they are found by their aliases in the model card, and put on
            the TPU by Google's inference converter.
        precision: "bfloat16" stores large matrices in half the room and has BERT compute in it; all else is computed in
            "float32", and so are all answers. "int8" is the same, and stores item vectors in a quarter. None takes
            bfloat16 for a TPU, else float32. The recommender stays as it is.
        index: "exact" scores all items. "scann" has ScaNN look where good ones are likely, which is faster for millions
            of items; how many of the exact answers it finds is measured, and in the model card. It is for families
            whose scores are products of vectors (`two_tower`, `next_item`, `word2vec`), and for a TF Serving that
            was built with ScaNN's operations, which a stock one does not have.
        validation: targets for which the model card tells what the precision costs.
        facts: for the model card, such as what the recommender was trained on, and its figures.

    Returns:
        The version's folder.

    Raises:
        InputError: the recommender is not fitted, or its weights are not finite; the version exists or is
            below 1; top_k is below 1; there is no such precision, target or index, or none for the family; the folder
            cannot be written to. No error leaves anything behind.

    Example:
        >>> export(recommender, "models/films")
        PosixPath('models/films/1')
    """
    folder = Path(folder).absolute()
    if top_k < 1:
        raise InputError(f"export: top_k is {top_k}, and must be at least 1")
    made_for = target_named(target)
    precision = made_for.precision_of(precision)
    check_precision(precision)
    _check_fitted(recommender)
    check_index(index, made_for, recommender)
    version = free_version(folder, version)
    placed = folder / str(version)
    with atomic_folder(placed) as hidden:
        servable = Servable(recommender, top_k, target=made_for, precision=precision, index=index)
        with switched(servable.stored.layers, compiled=made_for.compiled), servable.stored.in_use():
            functions = {name: call.get_concrete_function() for name, call in servable.signatures().items()}
            if made_for.compiled:
                check_compiles(servable.cores, made_for, recommender.family)
            _write(servable, hidden, functions)
        if made_for.tags != (SERVE,):
            tag(hidden, made_for.tags)
        check_ops(hidden)
        name = name or folder.name
        found = {"index": str(servable.approximate.index)} if servable.approximate else {}
        costs = cost_of_rounding(recommender, validation, precision) if validation else {}
        card = model_card(
            hidden,
            recommender,
            servable.meanings(),
            name=name,
            version=version,
            top_k=servable.top_k,
            target=made_for,
            precision=precision,
            facts={**(facts or {}), **found, **costs},
        )
        extra = hidden / "assets.extra"
        extra.mkdir()
        (extra / "model_card.md").write_text(card, encoding="utf-8")
        write_warmup(hidden, functions, servable.declared, recommender.fitted_data, made_for, name=name)
        write_checksums(hidden)
    return placed


def _write(servable: Servable, folder: Path, functions: dict[str, Any]) -> None:
    """Save without a word, for TensorFlow tells notebooks about assets."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        aliases = {name: core.function for name, core in servable.cores.items() if core.has_alias}
        options = tf.saved_model.SaveOptions(
            function_aliases=aliases,
            experimental_custom_gradients=False,  # it is asked, not trained
            namespace_whitelist=[SCANN],
        )
        tf.saved_model.save(servable, str(folder), signatures=functions, options=options)
    finally:
        logger.setLevel(level)


def _check_fitted(recommender: Recommender) -> None:
    """A recommender that answers, and with finite scores: TF Serving would write NaN as broken JSON."""
    recommender.predictor  # noqa: B018  # raises where nothing is fitted
    broken = [weight.path for weight in recommender.scorer.weights if not np.isfinite(weight.numpy()).all()]
    if broken:
        raise InputError(f"export: weights of this {recommender.family} are not finite ({broken[0]}): it diverged")
