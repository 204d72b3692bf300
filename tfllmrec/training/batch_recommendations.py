"""Recommendations for all users of a run, as Parquet parts; an interrupted process resumes after the last part."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError
from tfllmrec.files import atomic_file, atomic_folder, file_digest, file_digests
from tfllmrec.models.base.predictor import BestItems
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.training.batch_manifest import Manifest, Part
from tfllmrec.training.runs import Run
from tfllmrec_client.requests import recommend_request

_PART_RESULTS = 2**17
"""Results of a part, 2 MB: 13,000 users with ten items each, which a killed process computes again at most."""


def recommend_all(
    run: str | Path,
    out: str | Path,
    *,
    k: int = 10,
    scenario: str = "",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Write the best items of all users of a run to a folder.

    A part has one row for each user: `user_id` and the lists `item_ids` and `scores`, best first. They are those that
    `Recommender.recommend` returns for all users; a list is shorter than k where fewer items are left. `_manifest.json`
    lists the parts and names the run and the options. Parts and manifest are written atomically, so the same call
    resumes an interrupted one.

    Args:
        run: folder of the run.
        out: a new folder, or that of an interrupted call.
        k: items per user.
        scenario: name of the scenario, for models that read scenarios.
        progress: function of the numbers of finished and of all users.

    Raises:
        InputError: If the run cannot be loaded, the folder is finished, belongs to another run or other options or
            cannot be created, k is below 1, or the model needs a scenario or does not read it.
    """
    if k < 1:
        raise InputError(f"recommend: k is {k}, and must be at least 1")
    out, recommender = Path(out), Run.load(run).recommender
    data = recommender.fitted_data
    if data.scenarios is not None and not scenario:
        names = ", ".join(data.scenarios.tokens[1:])
        raise InputError(f"recommend: this {recommender.family} reads a scenario; name one for all users, of {names}")
    users = list(data.users.tokens[1:])
    manifest = Manifest(_digest(Path(run)), k, scenario, len(users))
    if out.exists():
        manifest = manifest.resume(out)
    blocks = _best_items(recommender, users[manifest.rows :], k, scenario)
    if not out.exists():
        with atomic_folder(out) as staging:
            manifest.write(staging)
    for part in _parts(_with_progress(blocks, manifest.rows, len(users), progress), max(1, _PART_RESULTS // k)):
        manifest = _append(manifest, out, part, data.items)


def _digest(run: Path) -> str:
    """Return a checksum of all files of a run."""
    return hashlib.sha256(json.dumps(file_digests(run), sort_keys=True).encode()).hexdigest()


def _best_items(recommender: Recommender, users: list[str], k: int, scenario: str) -> Iterator[BestItems]:
    """Return the blocks of best items; the first is computed now, which raises what is wrong with the request."""
    request = recommend_request(users, None, scenarios=[scenario] * len(users) if scenario else None)
    blocks = recommender.predictor.best_items(request, k)
    return chain([next(blocks)], blocks)


def _with_progress(
    blocks: Iterable[BestItems], done: int, total: int, progress: Callable[[int, int], None]
) -> Iterator[BestItems]:
    progress(done, total)
    for block in blocks:
        done += len(block.users)
        progress(done, total)
        yield block


def _parts(blocks: Iterable[BestItems], rows: int) -> Iterator[BestItems]:
    """Join blocks to parts of at least `rows` rows; the last may have fewer.

    A part ends where a block ends. A call that resumes after it therefore scores the same blocks, with the same last
    digits.
    """
    waiting: list[BestItems] = []
    for block in blocks:
        waiting.append(block)
        if sum(len(block.users) for block in waiting) >= rows:
            yield _joined(waiting)
            waiting = []
    if waiting:
        yield _joined(waiting)


def _joined(blocks: list[BestItems]) -> BestItems:
    users, items, scores = zip(*blocks, strict=True)
    return BestItems(list(chain.from_iterable(users)), np.concatenate(items), np.concatenate(scores))


def _append(manifest: Manifest, folder: Path, part: BestItems, items: Vocabulary) -> Manifest:
    """Write a part and then the manifest that lists it."""
    path = folder / f"part-{len(manifest.parts):05}.parquet"
    with atomic_file(path) as temporary:
        pq.write_table(_table(part, items), temporary)
    manifest = replace(manifest, parts=(*manifest.parts, Part(path.name, len(part.users), file_digest(path))))
    manifest.write(folder)
    return manifest


def _table(part: BestItems, items: Vocabulary) -> pa.Table:
    """Return one row for each user, without empty positions of the lists."""
    is_item = part.items > 0
    offsets = np.append(0, np.cumsum(is_item.sum(axis=1))).astype(np.int32)
    ids, scores = items.ids(part.items[is_item]), part.scores[is_item]
    return pa.table(
        {
            "user_id": pa.array(part.users, pa.string()),
            "item_ids": pa.ListArray.from_arrays(offsets, pa.array(ids, pa.string())),
            "scores": pa.ListArray.from_arrays(offsets, pa.array(scores, pa.float32())),
        }
    )
