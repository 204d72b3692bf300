"""Export of a fitted recommender to a version folder for TF Serving."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfllmrec.arguments import path_of, positive_integer, require_type
from tfllmrec.data.splits import Targets
from tfllmrec.errors import InputError
from tfllmrec.export.card import model_card
from tfllmrec.export.checksums import write_checksums
from tfllmrec.export.format import write_format
from tfllmrec.export.layer_modes import serving_modes
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
from tfllmrec.keras_state import isolated_keras
from tfllmrec.models.base.arguments import require_targets
from tfllmrec.models.base.recommender import Recommender


@isolated_keras()
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
    """Export a recommender to `<folder>/<version>/`: a SavedModel, model card, format, warm-up requests and checksums.

    `folder` is a model base path of TF Serving. The version appears in it atomically, because a server may poll it.

    Args:
        recommender: a fitted recommender.
        folder: the model base path; created if it does not exist.
        version: a positive number; by default the highest existing version plus 1.
        top_k: number of results per request, limited to the number of items.
        name: model name in TF Serving; by default the folder's name.
        target: "cpu" for a stock TF Serving; "gpu" for cores compiled by XLA, which need a server with
            `--xla_gpu_compilation_enabled`; "tpu" for Google's inference converter, which finds the cores by their
            aliases in the model card.
        precision: "bfloat16" stores large matrices in half of their size and runs BERT in bfloat16; all other
            computation and all outputs are float32. "int8" also stores item vectors in a quarter of their size. By
            default "bfloat16" for a TPU, otherwise "float32". The recommender is not modified.
        index: "exact" scores all items. "scann" searches approximately, which is faster for millions of items; the
            model card states the measured recall. It requires scores that are products of vectors (`two_tower`,
            `next_item`, `word2vec`) and a TF Serving that was built with ScaNN's operations.
        validation: targets on which to measure the effect of the precision on ndcg@10, for the model card.
        facts: additional properties for the model card, such as the training data and metrics.

    Returns:
        The version's folder.

    Raises:
        InputError: If the recommender is not fitted, its weights are not finite, the version exists or is below 1,
            top_k is below 1, the precision, target or index is unknown or not supported by the family, or the
            folder cannot be written to. An error leaves no files behind.

    Example:
        >>> export(recommender, "models/films")
        PosixPath('models/films/1')
    """
    _check_types(recommender, name=name, target=target, precision=precision, index=index)
    folder, top_k = path_of("export", "folder", folder).absolute(), positive_integer("export", "top_k", top_k)
    version = None if version is None else positive_integer("export", "version", version)
    if validation is not None:
        require_targets("export", "validation", validation)
    require_type("export", "facts", facts, (Mapping, type(None)), "pass a dictionary of texts")
    chosen_target = target_named(target)
    precision = chosen_target.precision_or_default(precision)
    check_precision(precision)
    _check_fitted(recommender)
    check_index(index, chosen_target, recommender)
    version = free_version(folder, version)
    path = folder / str(version)
    with atomic_folder(path) as temporary:
        servable = Servable(recommender, top_k, target=chosen_target, precision=precision, index=index)
        with serving_modes(servable.stored.layers, compiled=chosen_target.compiled), servable.stored.in_use():
            functions = {name: call.get_concrete_function() for name, call in servable.signatures().items()}
            if chosen_target.compiled:
                check_compiles(servable.cores, chosen_target, recommender.family)
            _write(servable, temporary, functions)
        if chosen_target.tags != (SERVE,):
            tag(temporary, chosen_target.tags)
        check_ops(temporary)
        name = name or folder.name
        index_facts = {"index": str(servable.approximate.index)} if servable.approximate else {}
        costs = cost_of_rounding(recommender, validation, precision) if validation else {}
        card = model_card(
            temporary,
            recommender,
            servable.meanings(),
            name=name,
            version=version,
            top_k=servable.top_k,
            target=chosen_target,
            precision=precision,
            facts={**(facts or {}), **index_facts, **costs},
        )
        extra = temporary / "assets.extra"
        extra.mkdir()
        (extra / "model_card.md").write_text(card, encoding="utf-8")
        write_format(temporary)
        write_warmup(temporary, functions, servable.declared, recommender.fitted_data, chosen_target, name=name)
        write_checksums(temporary)
    return path


def _write(servable: Servable, folder: Path, functions: dict[str, Any]) -> None:
    """Save a SavedModel, without TensorFlow's log messages about assets."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        aliases = {name: core.function for name, core in servable.cores.items() if core.has_alias}
        options = tf.saved_model.SaveOptions(
            function_aliases=aliases,
            experimental_custom_gradients=False,  # the export is not trained
            namespace_whitelist=[SCANN],
        )
        tf.saved_model.save(servable, str(folder), signatures=functions, options=options)
    finally:
        logger.setLevel(level)


def _check_types(recommender: Recommender, **names: str | None) -> None:
    require_type("export", "recommender", recommender, Recommender, "pass a fitted one, or tfllmrec.load_model(folder)")
    for name, value in names.items():
        require_type("export", name, value, (str, type(None)), "pass a string")


def _check_fitted(recommender: Recommender) -> None:
    """Check that a recommender is fitted and has finite weights; TF Serving would write NaN as invalid JSON."""
    recommender.predictor  # noqa: B018  # raises if the recommender is not fitted
    non_finite = [weight.path for weight in recommender.scorer.weights if not np.isfinite(weight.numpy()).all()]
    if non_finite:
        weights = f"weights of this {recommender.family} are not finite ({non_finite[0]})"
        raise InputError(f"export: {weights}: training diverged")
