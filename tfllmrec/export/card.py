"""Model card of an export: properties, signatures, rules and an example."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfllmrec.export.ops import of_scann, ops_of
from tfllmrec.export.saved_model import meta_graph
from tfllmrec.export.target import Target
from tfllmrec.models.base.recommender import Recommender

_RULES = """\
- Empty strings in histories, exclusions, candidates and features are ignored, so any padding works. Unknown items and
  features are ignored as well. All rows of a batch have the same width, which may be 0. A server that pads rows
  itself (`pad_variable_length_inputs`) repeats their first element, so start rows with an empty string.
- Histories are oldest first. The model reads the most recent {history_length} items.
- A history in the request has precedence over the history stored in this export. Without either, popular items are
  returned.
- Items of the history in the request (all of them, not only the most recent {history_length}), items of the stored
  history and excluded items are never returned.
- Each row of a response has {top_k} results, best first. Missing results have an empty `item_id` and `title`, and
  float32's lowest score ({lowest:.8g}). Scores are always finite.
- A bad row never fails other rows of its batch."""


def signatures_of(saved_model: Path) -> dict[str, Any]:
    """Return the `SignatureDef`s of a SavedModel folder by name, `serving_default` first."""
    signatures = meta_graph(saved_model).signature_def
    names = [name for name in signatures if not name.startswith("__")]  # TensorFlow's internal ones
    return {name: signatures[name] for name in sorted(names, key=lambda name: (name != "serving_default", name))}


def model_card(
    saved_model: Path,
    recommender: Recommender,
    meanings: Mapping[str, str],
    *,
    name: str,
    version: int,
    top_k: int,
    target: Target,
    precision: str,
    facts: Mapping[str, str],
) -> str:
    """Return the model card in Markdown.

    Args:
        saved_model: the folder with `saved_model.pb`.
        recommender: the exported recommender.
        meanings: descriptions of the signatures by name, in the order of the card.
        name: model name in TF Serving.
        version: version number.
        top_k: number of results per request.
        target: target of the export.
        precision: precision of the export.
        facts: additional properties, such as the training data.
    """
    fitted_data = recommender.fitted_data
    properties = {
        "family": recommender.family,
        "items": f"{len(fitted_data.items):,}",
        "users": f"{len(fitted_data.users):,}",
        "stored interactions": f"{len(fitted_data.histories.values):,}",
        **facts,
        "TensorFlow": tf.__version__,
        "TF Serving": f"{'.'.join(tf.__version__.split('.')[:2])} or newer",
        "target": target.name,
        "precision": precision,
        "tags": ", ".join(target.tags),
        **_core_aliases(saved_model, target),
        "batch sizes": ", ".join(map(str, target.batch_sizes)),
        "main signature": f"`{recommender.main_signature}`",
        **({} if fitted_data.scenarios is None else {"scenarios": ", ".join(fitted_data.scenarios.tokens[1:])}),
        **{f"config: {option}": value for option, value in recommender.config.to_dict().items()},
    }
    rules = _RULES.format(history_length=recommender.history_length, top_k=top_k, lowest=tf.float32.min)
    return (
        "\n\n".join(
            [
                f"# {name}, version {version}",
                _table(["property", "value"], [[key, str(value)] for key, value in properties.items()]),
                "## Signatures",
                "B is the batch size, `?` any width. A request must have all inputs of its signature.",
                *_signatures(saved_model, meanings),
                "## Rules",
                rules,
                "## Example",
                _example(recommender, name),
                "## Operations",
                *_operations(saved_model),
            ]
        )
        + "\n"
    )


def _core_aliases(saved_model: Path, target: Target) -> dict[str, str]:
    """Return the function aliases of the cores, as a property of the card; empty if no cores are compiled."""
    aliases = sorted(set(meta_graph(saved_model).meta_info_def.function_aliases.values()))
    return {"cores": ", ".join(f"`{alias}`" for alias in aliases)} if target.compiled else {}


def _operations(saved_model: Path) -> list[str]:
    ops = ops_of(saved_model)
    scann = sorted(of_scann(ops))
    stock = ", ".join(sorted(ops.difference(scann)))
    if not scann:
        return [f"A stock TF Serving links all operations: {stock}."]
    built = "TF Serving must be built with ScaNN's operations; see its guide to custom operations"
    return [f"A stock TF Serving links these operations: {stock}.", f"{built}: {', '.join(scann)}."]


def _signatures(saved_model: Path, meanings: Mapping[str, str]) -> list[str]:
    signatures = signatures_of(saved_model)
    return [_signature(name, signatures[name], meaning) for name, meaning in meanings.items()]


def _signature(name: str, signature: Any, meaning: str) -> str:
    sides = (("in", signature.inputs), ("out", signature.outputs))
    rows = [
        [side, f"`{key}`", tf.as_dtype(tensors[key].dtype).name, _shape(tensors[key].tensor_shape)]
        for side, tensors in sides
        for key in sorted(tensors)
    ]
    return f"### {name}\n\n{meaning}\n\n" + _table(["", "name", "dtype", "shape"], rows)


def _shape(shape: Any) -> str:
    """Format a shape with B for the batch and ? for other unknown sizes."""
    sizes = [str(dim.size) if dim.size >= 0 else "?" for dim in shape.dim]
    return f"[{', '.join(['B', *sizes[1:]])}]"


def _example(recommender: Recommender, name: str) -> str:
    items, users = recommender.fitted_data.items.tokens[1:], recommender.fitted_data.users.tokens[1:]
    inputs: dict[str, Any] = {
        "user_id": [users[0], ""],
        "history": [["", ""], [items[0], items[-1]]],
        "exclude_item_ids": [[items[0]], [""]],
    }
    signature = "retrieve"
    if recommender.fitted_data.scenarios is not None:
        signature = "recommend"
        inputs["scenario"] = [recommender.fitted_data.scenarios.tokens[1]] * 2
    lines = [f'    "{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in inputs.items()]
    request = f'{{\n  "signature_name": "{signature}",\n  "inputs": {{\n' + ",\n".join(lines) + "\n  }\n}"
    return (
        "A REST request with two rows, in `request.json`: a known user without a history in the request and with an "
        f"excluded item, and a new user with a history of two items:\n\n```json\n{request}\n```\n\n"
        f"```bash\ncurl -d @request.json http://localhost:8501/v1/models/{name}:predict\n```"
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
