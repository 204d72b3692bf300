"""How good is a family on items and users that it has never met?

    python -m benchmarks.quality.cold_start --family two_tower --data FOLDER --set epochs=10 vectors=word2vec --word2vec

Items: a seeded tenth is taken out of training; every interaction with them is a target, ranked among them, after a
history without them. Users: a seeded tenth is taken out; targets are their last items, after histories of 0, 1 and 3
items. Prints one JSON line with metrics at 10, mean over the seeds and seed by seed; `random` is the recall@10 of
guessing among the cold items. A family that trains in epochs is to be told how many: there is no validation.

`--word2vec` and `--text MODEL` add columns of vectors to the items, `word2vec` and `text_vector`, which `--set
vectors=...` names: Word2Vec of the items' texts, and means of a pretrained BERT's states.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import options_of, progress, report, rounded
from tfllmrec.content.templates import item_texts
from tfllmrec.content.text_vectors import text_vectors
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.data import Dataset, load
from tfllmrec.data.splits import cold_items
from tfllmrec.models.registry import model_class
from tfllmrec.training.cold import cold_item_scores, cold_user_scores


def main() -> None:
    arguments = _arguments()
    name = Path(arguments.data).name
    data = _with_vectors(load(arguments.data, min_item_interactions=arguments.min_item_interactions), arguments)
    options = options_of(arguments.set)
    chosen = model_class(arguments.family)
    runs = []
    for seed in arguments.seed:
        config = chosen.config_class.for_data(data, options | {"seed": seed})
        found: dict[str, Any] = {"seed": seed}
        if "items" in arguments.part:
            found["items"] = rounded(cold_item_scores(chosen, config, data, seed=arguments.draw))
            progress(f"seed {seed}, new items: {found['items']}")
        if "users" in arguments.part:
            by_length = cold_user_scores(chosen, config, data, seed=arguments.draw)
            found["users"] = {str(length): rounded(metrics) for length, metrics in by_length.items()}
            progress(f"seed {seed}, new users: {found['users']}")
        runs.append(found | {"config": config.to_dict()})
    count = len(cold_items(data, seed=arguments.draw).items)
    result = {"benchmark": "cold", "family": arguments.family, "data": name, "draw": arguments.draw} | data.summary()
    result |= {"cold_items": count, "random": round(10 / count, 4)}
    if "items" in arguments.part:
        result["recall@10"] = round(float(np.mean([run["items"]["recall@10"] for run in runs])), 5)
    tag = f"-{arguments.tag}" if arguments.tag else ""
    report(result | {"runs": runs}, f"cold-{name}-{arguments.family}{tag}" if arguments.record else None)


def _with_vectors(data: Dataset, arguments: argparse.Namespace) -> Dataset:
    """The data set with the columns of vectors that were asked for."""
    items = data.items
    if arguments.word2vec:
        options = Word2VecOptions(columns=("title", "text"), dim=256, window=20)
        content = Word2VecContent.fit(items, options=options, workers=2)
        items = items.assign(word2vec=list(content.transform(items)))
    if arguments.text:
        items = items.assign(text_vector=list(text_vectors(item_texts(data.items), arguments.text, progress=True)))
    return replace(data, items=items)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--family", required=True, help="popularity, word2vec, two_tower, next_item, bert_ranker")
    parser.add_argument("--data", required=True, help="name of a data set, or a folder")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the family")
    parser.add_argument("--part", nargs="*", default=["items", "users"], help="items, users")
    parser.add_argument("--word2vec", action="store_true", help="a column word2vec for the items")
    parser.add_argument("--text", metavar="MODEL", help="a column text_vector for the items, by that BERT")
    parser.add_argument("--seed", nargs="*", type=int, default=[0], help="of the fits")
    parser.add_argument("--draw", type=int, default=0, help="seed of what is cold")
    parser.add_argument("--min-item-interactions", type=int, help="by default 5 for the demo, else 1")
    parser.add_argument("--tag", default="", help="ends the name of the result file")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
