"""The model card: what a SavedModel answers, written from the SavedModel itself."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfllmrec.export.ops import of_scann, ops_of
from tfllmrec.export.ranking import MOST_CANDIDATES
from tfllmrec.export.saved_model import meta_graph
from tfllmrec.export.target import Target
from tfllmrec.models.base.recommender import Recommender

_MEANINGS = {
    "serving_default": "The main signature, see above.",
    "next_items": "The best items to follow a history. Nothing is known of its user.",
    "next_items_ids": "The int32 core of `next_items`, for indices instead of ids, 0 for nothing. The items excluded "
    "are those given in `exclude` alone.",
    "retrieve": "The best items for a user, a history, or both.",
    "retrieve_ids": "The int32 core of `retrieve`, for indices instead of ids, 0 for nothing. It adds "
    "nothing stored: the history read and the items excluded are those given.",
    "retrieve_with_features": "`retrieve` for users of whom something is told, such as `gender=F`, in any order. It "
    "goes before what is stored; unknown features are nothing.",
    "retrieve_with_features_ids": "The int32 core of `retrieve_with_features`.",
    "recommend": "The best items for a user, a history, or both; of a scenario, where one is asked for. An unknown one "
    "(`scenario_known` is false) has no items.",
    "recommend_ids": "The int32 core of `recommend`, as `retrieve_ids` is that of `retrieve`.",
    "rank": "Scores of candidates for a user, a history, or both. Empty and unknown candidates have float32's lowest, "
    f"and so have those after the {MOST_CANDIDATES:,}th of a row, and those that a scenario does not have.",
    "rank_ids": "The int32 core of `rank`, for indices instead of ids, 0 for nothing. Nothing stored is read.",
    "rank_texts": "The same of raw texts, which no catalogue has to know; a search query is one more text of the "
    "history, the newest.",
    "interests_with_texts": "`interests`, where what a user wrote or searches for counts instead of what is stored: "
    "several texts a row, padded with empty ones.",
    "interests": "What a user is interested in: all labels, the strongest first, and the chance that one of the next "
    "items has each.",
    "embed_query": "The vector that items are matched with: a user's interests.",
    "embed_items": "The items' vectors; zeros for an unknown item. Where there are `biases`, a score is query . item + "
    "bias.",
    "similar_items": "The items whose vectors are nearest, by cosine; for an unknown item there are none.",
}
"""What every signature answers, in the order of the card."""

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
    """The `SignatureDef`s of a SavedModel folder by name, the main one first."""
    found = meta_graph(saved_model).signature_def
    names = [name for name in found if not name.startswith("__")]  # TensorFlow's own
    return {name: found[name] for name in sorted(names, key=list(_MEANINGS).index)}


def model_card(
    saved_model: Path,
    recommender: Recommender,
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
        recommender: what was exported.
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
                *(_signature(name, signature) for name, signature in signatures_of(saved_model).items()),
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


def _signature(name: str, signature: Any) -> str:
    sides = (("in", signature.inputs), ("out", signature.outputs))
    rows = [
        [side, f"`{key}`", tf.as_dtype(tensors[key].dtype).name, _shape(tensors[key].tensor_shape)]
        for side, tensors in sides
        for key in sorted(tensors)
    ]
    return f"### {name}\n\n{_MEANINGS[name]}\n\n" + _table(["", "name", "dtype", "shape"], rows)


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
