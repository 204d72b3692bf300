"""The model card: what a SavedModel answers, written from the SavedModel itself."""

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
- An empty string is nothing, wherever it stands in a history, in exclusions or in features, so any padding works.
  Unknown items and features are nothing as well. The rows of a batch have one width, which may be 0. Where the
  server pads them itself (`pad_variable_length_inputs`) it repeats a row's first element, so put an empty string
  first.
- Histories are oldest first. The model reads the newest {history_length} items of one.
- A known user with an empty history is served from the history stored in this export, anybody with a history
  from that. With neither, popularity answers.
- Given items (all of them, not just those the model reads), stored ones and excluded ones never come back.
- Every answer has {top_k} places, best first; the number is fixed. Where fewer items are left, the rest have
  an empty `item_id` and `title`, and float32's lowest score ({lowest:.8g}). Scores are always finite.
- No row can fail another row of its batch."""


def signatures_of(saved_model: Path) -> dict[str, Any]:
    """Return the `SignatureDef`s of a SavedModel folder by name, `serving_default` first."""
    found = meta_graph(saved_model).signature_def
    names = [name for name in found if not name.startswith("__")]  # TensorFlow's own
    return {name: found[name] for name in sorted(names, key=lambda name: (name != "serving_default", name))}


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
    """The card of an exported recommender, in Markdown.

    Args:
        saved_model: the folder with `saved_model.pb`.
        recommender: the exported recommender.
        meanings: a sentence for every signature, in the order of the card.
        name: what the model is called in TF Serving.
        version: its version.
        top_k: items in an answer.
        target: what the export is made for.
        precision: of the export.
        facts: what else is known of it, such as what it was trained on.
    """
    fitted_data = recommender.fitted_data
    known = {
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
        **_of_cores(saved_model, target),
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
                _table(["what", "value"], [[fact, str(value)] for fact, value in known.items()]),
                "## Signatures",
                "B is the batch. All inputs of a signature are given; `?` is any width.",
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


def _of_cores(saved_model: Path, target: Target) -> dict[str, str]:
    """Where a compiler finds the cores: the aliases of their functions."""
    aliases = sorted(set(meta_graph(saved_model).meta_info_def.function_aliases.values()))
    return {"cores": ", ".join(f"`{alias}`" for alias in aliases)} if target.compiled else {}


def _operations(saved_model: Path) -> list[str]:
    ops = ops_of(saved_model)
    scann = sorted(of_scann(ops))
    stock = ", ".join(sorted(ops.difference(scann)))
    if not scann:
        return [f"All of them are in a stock TF Serving: {stock}."]
    built = "TF Serving has to be built with ScaNN's operations, as its guide to custom operations says"
    return [f"These are in a stock TF Serving: {stock}.", f"{built}: {', '.join(scann)}."]


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
    """The batch as B, other unknown sizes as ?."""
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
        "A known user without a history, who must not get a certain item, and a new user with two items, as "
        f"`request.json` over REST:\n\n```json\n{request}\n```\n\n"
        f"```bash\ncurl -d @request.json http://localhost:8501/v1/models/{name}:predict\n```"
    )


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)
