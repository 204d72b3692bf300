"""Genres and directors that nearest neighbours by Word2Vec text vectors have in common, compared with chance.

    python -m benchmarks.quality.word2vec_neighbours --data FOLDER [--record]

Data: douban-zh, with Chinese titles and reviews. Genres and directors are the ground truth, so the texts do not contain
them. Texts, with the defaults of `Word2VecContent`:

- `title`;
- `title, reviews`: the title and all reviews of the film;
- `title, reviews, actors`: in addition the actors, each name as one word, without those who directed the film;
- `title, categories`: for comparison only, because it contains the ground truth.

For every film, the ten nearest neighbours by cosine similarity are compared with it. Films without a known word have no
neighbours and are not neighbours; `known` is the share of the other films.

Prints one JSON line: the share of neighbour pairs with a common genre, a common rarer genre (one that at most half of
the films have), a common director, and a common genre or director; the same share over all pairs (`chance`); their
ratio; and `possible`, the ratio if all neighbours had a genre or director in common. `jieba` is the CPU time for
loading its dictionary and for segmenting all titles and reviews. Target: a ratio of 2 for a genre or director.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import benchmark_parser, progress, report
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.content.words import split_names, split_words

NEAREST = 10
TEXTS = {
    "title": (("title",), ()),
    "title, reviews": (("title", "reviews"), ()),
    "title, reviews, actors": (("title", "reviews"), ("actors",)),
    "title, categories": (("title",), ("categories",)),
}


def main() -> None:
    arguments = _arguments()
    folder = Path(arguments.data)  # not `load`: there are reviews of films that the item table lacks
    films, reviews = (pd.read_parquet(folder / f"{table}.parquet") for table in ("items", "interactions"))
    jieba = _jieba_seconds([*films["title"], *reviews["text"]])
    films = _with_reviews(films, reviews)
    in_common = {"genre": _common_names(films["categories"]), "director": _common_names(films["directors"])}
    in_common["genre_or_director"] = in_common["genre"] | in_common["director"]
    in_common["rarer_genre"] = _common_names(films["categories"], at_most=0.5)
    sizes = {"films": len(films), "reviews": len(reviews), "nearest": NEAREST}
    texts = {}
    for name, (columns, named) in TEXTS.items():
        content = Word2VecContent.fit(films, options=Word2VecOptions(columns=columns, names=named))
        texts[name] = {"words": len(content.word_vectors.vocabulary)} | _shares(content.transform(films), in_common)
        progress(f"{name}: {texts[name]}")
    result = {"benchmark": "word2vec_neighbours"} | sizes | {"jieba": jieba, "texts": texts}
    report(result, "word2vec_neighbours" if arguments.record else None)


def _with_reviews(films: pd.DataFrame, reviews: pd.DataFrame) -> pd.DataFrame:
    """Return the item table with reviews, and with actors who are not directors of the film."""
    written = reviews.groupby("item_id")["text"].agg("\n".join)
    rows = zip(films["actors"].fillna(""), films["directors"].fillna(""), strict=True)
    actors = [
        "|".join(name for name in split_names(actors) if name not in split_names(directors))
        for actors, directors in rows
    ]
    return films.assign(reviews=films["item_id"].map(written), actors=actors)


def _common_names(cells: pd.Series, at_most: float = 1.0) -> np.ndarray:
    """Return which films have a common name that at most a given share of all films has, bool [films, films]."""
    occurs = cells.fillna("").map(split_names).map("|".join).str.get_dummies().to_numpy()
    occurs = occurs[:, occurs.mean(axis=0) <= at_most]
    return occurs @ occurs.T > 0


def _shares(vectors: np.ndarray, in_common: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the shares of neighbours, and of all pairs of films with a vector, that have something in common."""
    known = np.flatnonzero(vectors.any(axis=1))
    cosines = vectors[known] @ vectors[known].T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1)[:, :NEAREST]
    shares: dict[str, Any] = {"known": round(len(known) / len(vectors), 3)}
    for name, pairs in in_common.items():
        of_known = pairs[np.ix_(known, known)]
        share = float(np.take_along_axis(of_known, nearest, axis=1).mean())
        chance = float(of_known[~np.eye(len(known), dtype=bool)].mean())
        shares[name] = {"share": round(share, 4), "chance": round(chance, 4), "ratio": round(share / chance, 2)}
    return shares | {"possible": round(1 / shares["genre_or_director"]["chance"], 2)}


def _jieba_seconds(texts: list[str]) -> dict[str, Any]:
    started = time.process_time()
    split_words("电影")
    loaded = time.process_time()
    cut = sum(len(split_words(text)) for text in texts)
    seconds = {
        "load_cpu_seconds": round(loaded - started, 2),
        "cut_cpu_seconds": round(time.process_time() - loaded, 2),
    }
    return seconds | {"texts": len(texts), "characters": sum(map(len, texts)), "words": cut}


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", required=True, help="folder of douban-zh")
    return parser.parse_args()


if __name__ == "__main__":
    main()
