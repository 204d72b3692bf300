"""Do films that are near each other by their words share a genre or a director?

    python -m benchmarks.quality.word2vec_neighbours --data FOLDER [--record]

For douban-zh: Chinese titles, and reviews beside the interactions. Genres and directors are what is asked for, so they
are not read. Three texts are, with the defaults of `Word2VecContent`:

- `title`;
- `title, reviews`: and all that users wrote of the film, one after the other;
- `title, reviews, actors`: and the actors, each name one word, without those who directed the film as well.

For comparison only, because it reads what is asked for: `title, categories`, what the defaults read of such a table.

Of every film the ten nearest by the cosine of the text view; the share of these pairs with a genre in common, with a
genre that not most films have (most are dramas), with a director, with a genre or a director; over all pairs of films
(`chance`); and the first as a multiple of the second. Films without a known word have no neighbours and are none;
`known` is the share of the others. Asked for: a genre or a director at least twice as often as chance, where `possible`
is what it would be if all neighbours shared one.

Prints one JSON line; with it, how long jieba takes to load its dictionary and to cut all titles and reviews.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.common import progress, report
from tfllmrec.content.word2vec import Word2VecContent, Word2VecOptions
from tfllmrec.content.words import names, words

NEAREST = 10
READ = {
    "title": (("title",), ()),
    "title, reviews": (("title", "reviews"), ()),
    "title, reviews, actors": (("title", "reviews"), ("actors",)),
    "title, categories": (("title",), ("categories",)),
}


def main() -> None:
    arguments = _arguments()
    folder = Path(arguments.data)  # no data set: it has reviews of films that no table tells of
    films, reviews = (pd.read_parquet(folder / f"{table}.parquet") for table in ("items", "interactions"))
    jieba = _jieba_seconds([*films["title"], *reviews["text"]])
    films = _with_reviews(films, reviews)
    alike = {"genre": _share_a_name(films["categories"]), "director": _share_a_name(films["directors"])}
    alike["genre_or_director"] = alike["genre"] | alike["director"]
    alike["rarer_genre"] = _share_a_name(films["categories"], at_most=0.5)
    sizes = {"films": len(films), "reviews": len(reviews), "nearest": NEAREST}
    texts = {}
    for name, (columns, named) in READ.items():
        content = Word2VecContent.fit(films, options=Word2VecOptions(columns=columns, names=named))
        texts[name] = {"words": len(content.words.words)} | _shares(content.transform(films), alike)
        progress(f"{name}: {texts[name]}")
    result = {"benchmark": "word2vec_neighbours"} | sizes | {"jieba": jieba, "texts": texts}
    report(result, "word2vec_neighbours" if arguments.record else None)


def _with_reviews(films: pd.DataFrame, reviews: pd.DataFrame) -> pd.DataFrame:
    """The item table with reviews, and without directors among the actors."""
    written = reviews.groupby("item_id")["text"].agg("\n".join)
    rows = zip(films["actors"].fillna(""), films["directors"].fillna(""), strict=True)
    actors = ["|".join(name for name in names(actors) if name not in names(directors)) for actors, directors in rows]
    return films.assign(reviews=films["item_id"].map(written), actors=actors)


def _share_a_name(cells: pd.Series, at_most: float = 1.0) -> np.ndarray:
    """Which films have a name in common that at most such a share of them has, bool [films, films]."""
    has = cells.fillna("").map(names).map("|".join).str.get_dummies().to_numpy()
    has = has[:, has.mean(axis=0) <= at_most]
    return has @ has.T > 0


def _shares(vectors: np.ndarray, alike: dict[str, np.ndarray]) -> dict[str, Any]:
    """How often neighbours are alike, and how often any two films that have a vector."""
    known = np.flatnonzero(vectors.any(axis=1))
    cosines = vectors[known] @ vectors[known].T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1)[:, :NEAREST]
    shares: dict[str, Any] = {"known": round(len(known) / len(vectors), 3)}
    for name, pairs in alike.items():
        item_subset = pairs[np.ix_(known, known)]
        found = float(np.take_along_axis(item_subset, nearest, axis=1).mean())
        chance = float(item_subset[~np.eye(len(known), dtype=bool)].mean())
        shares[name] = {"share": round(found, 4), "chance": round(chance, 4), "ratio": round(found / chance, 2)}
    return shares | {"possible": round(1 / shares["genre_or_director"]["chance"], 2)}


def _jieba_seconds(texts: list[str]) -> dict[str, Any]:
    started = time.process_time()
    words("电影")
    loaded = time.process_time()
    cut = sum(len(words(text)) for text in texts)
    seconds = {
        "load_cpu_seconds": round(loaded - started, 2),
        "cut_cpu_seconds": round(time.process_time() - loaded, 2),
    }
    return seconds | {"texts": len(texts), "characters": sum(map(len, texts)), "words": cut}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="the folder of douban-zh")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
