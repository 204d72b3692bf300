"""Models that the serving tests export, and the same models in this process."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from small_data import ITEMS, small_data

from tfllmrec.export import export
from tfllmrec.serving.session import ServedModel

K = 10
"""Number of results of every export."""
FILMS = """
name: "films"
base_path: "{folder}/films"
model_platform: "tensorflow"
model_version_policy {{ all {{}} }}
version_labels {{ key: "stable" value: 1 }}
version_labels {{ key: "canary" value: 2 }}
"""
NEWEST = 'name: "{name}" base_path: "{folder}/{name}" model_platform: "tensorflow"'


@dataclass
class Models:
    """Exports on disk, and the same models in this process.

    Attributes:
        folder: folder of the exports.
        recommenders: fitted recommenders by (model, version).
        in_process: `ServedModel`s by (model, version).
    """

    folder: Path
    recommenders: dict
    in_process: dict

    def recommended(self, users=None, histories=None, *, exclude=None, k=K, model="films", version=2):
        """Return rows of (item_id, title, score), best first."""
        recommender = self.recommenders[model, version]
        table = recommender.recommend(users, histories, k, exclude=exclude)
        count = len(histories if users is None else users)
        rows = (table[table["row"] == row] for row in range(count))
        return [list(zip(row["item_id"], row["title"], row["score"], strict=True)) for row in rows]

    def all_scores(self, users=None, histories=None, *, exclude=None):
        """Return the score of each item that may be recommended, row by row."""
        rows = self.recommended(users, histories, exclude=exclude, k=len(ITEMS))
        return [{item: score for item, _, score in row} for row in rows]


class Multiplier(tf.Module):
    """Multiplies the input x by a factor; the output is y."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor, dtype=tf.float32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, "x")])
    def __call__(self, x):
        return {"y": self.factor * x}


def export_models(folder, shared_fits):
    """Export two versions of "films", and the models "popular", "next" and "broken"."""
    recommenders = {
        ("films", 1): shared_fits.make("two_tower", seed=1).fit(small_data(), verbose=0),
        ("films", 2): shared_fits("two_tower"),
        ("popular", 1): shared_fits("popularity"),
        ("next", 1): shared_fits("next_item"),
    }
    paths = {key: export(recommender, folder / key[0], top_k=K) for key, recommender in recommenders.items()}
    shutil.copytree(paths["popular", 1], folder / "broken" / "1")
    graph = folder / "broken" / "1" / "saved_model.pb"
    graph.write_bytes(graph.read_bytes()[: graph.stat().st_size // 2])
    return Models(folder, recommenders, {key: ServedModel(path) for key, path in paths.items()})


def config_text(configs):
    """Return the text of a ModelServerConfig."""
    return f"model_config_list {{ {''.join(f'config {{ {config} }} ' for config in configs)} }}"
