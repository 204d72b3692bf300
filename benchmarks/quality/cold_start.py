"""Quality of a family on items and users without training interactions.

    python -m benchmarks.quality.cold_start --family two_tower --data FOLDER --set epochs=10 vectors=word2vec --word2vec

Items: a seeded tenth of the items is removed from training. Every interaction with them is a target, ranked among the
removed items, with a history that contains none of them. Users: a seeded tenth of the users is removed. Their last
items are the targets, after histories of 0, 1 and 3 items. There are no validation targets, so a family that trains in
epochs needs their number (`--set epochs=...`).

`--word2vec` and `--text MODEL` add vector columns to the items: `word2vec` (Word2Vec of the items' texts) and
`text_vector` (mean-pooled states of a pretrained BERT). Name them in `--set vectors=...`.

Prints one JSON line: metrics at 10, as a mean over the seeds and per seed. `random` is the expected recall@10 of a
random order of the cold items.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import benchmark_parser, parse_options, progress, report, rounded
from tfllmrec.content.bert_vectors import text_vectors
from tfllmrec.content.item_texts import items_to_texts
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.data import Dataset, load_dataset
from tfllmrec.data.cold_splits import cold_items
from tfllmrec.models.registry import model_class
from tfllmrec.training.cold import cold_item_scores, cold_user_scores


def main() -> None:
    arguments = _arguments()
    name = Path(arguments.data).name
    data = _with_vectors(load_dataset(arguments.data, min_item_interactions=arguments.min_item_interactions), arguments)
    options = parse_options(arguments.set)
    family = model_class(arguments.family)
    runs = []
    for seed in arguments.seed:
        config = family.config_class.for_data(data, options | {"seed": seed})
        scores: dict[str, Any] = {"seed": seed}
        if "items" in arguments.part:
            scores["items"] = rounded(cold_item_scores(family, config, data, seed=arguments.draw))
            progress(f"seed {seed}, new items: {scores['items']}")
        if "users" in arguments.part:
            by_length = cold_user_scores(family, config, data, seed=arguments.draw)
            scores["users"] = {str(length): rounded(metrics) for length, metrics in by_length.items()}
            progress(f"seed {seed}, new users: {scores['users']}")
        runs.append(scores | {"config": config.to_dict()})
    count = len(cold_items(data, seed=arguments.draw).items)
    result = {
        "benchmark": "cold_start",
        "family": arguments.family,
        "data": name,
        "draw": arguments.draw,
    } | data.summary()
    result |= {"cold_items": count, "random": round(10 / count, 4)}
    if "items" in arguments.part:
        result["recall@10"] = round(float(np.mean([run["items"]["recall@10"] for run in runs])), 5)
    tag = f"-{arguments.tag}" if arguments.tag else ""
    report(result | {"runs": runs}, f"cold_start-{name}-{arguments.family}{tag}" if arguments.record else None)


def _with_vectors(data: Dataset, arguments: argparse.Namespace) -> Dataset:
    """Return the data set with the requested vector columns."""
    items = data.items
    if arguments.word2vec:
        options = Word2VecOptions(columns=("title", "text"), dim=256, window=20)
        content = Word2VecContent.fit(items, options=options, workers=2)
        items = items.assign(word2vec=list(content.transform(items)))
    if arguments.text:
        items = items.assign(text_vector=list(text_vectors(items_to_texts(data.items), arguments.text, progress=True)))
    return replace(data, items=items)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--family", required=True, help="name of a family, such as two_tower")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder with its tables")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--part", nargs="*", choices=["items", "users"], default=["items", "users"])
    parser.add_argument("--word2vec", action="store_true", help="add the column word2vec to the items")
    parser.add_argument("--text", metavar="MODEL", help="add the column text_vector to the items, encoded by this BERT")
    parser.add_argument("--seed", nargs="*", type=int, default=[0], help="seeds of the fits")
    parser.add_argument("--draw", type=int, default=0, help="seed that selects cold items and users")
    parser.add_argument(
        "--min-item-interactions", type=int, help="items with fewer are left out (default: 5 for the demo, else 1)"
    )
    parser.add_argument("--tag", default="", help="suffix of the result file's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
