"""How much better than its retriever does a ranker put candidates in order?

    tfllmrec train next_item --data FOLDER --out RUN
    python -m benchmarks.quality.ranking --retriever RUN --lists LISTS --ranker bert_ranker \
        --set backbone=all-minilm-l6-v2

A ranker is trained on what the retriever, fitted once more without every user's last item, finds for those items, and
chosen by the validation targets. Then it orders the 100 candidates that RUN finds for the test targets of a seeded
sample of 1,000 users; an answer that is not among them counts 0. Prints one JSON line: ndcg@10 of the retriever's own
order, of the ranker's, and of both blended with weights learnt on the validation lists of 500 other users; the gains
over the retriever with a bootstrap interval over users; milliseconds for 100 candidates. LISTS is a file that keeps
what the retriever finds, so that every ranker gets the same; `--out RANKER` keeps the ranker, and a fit that is broken
off goes on with the same command. `--part validation` asks validation targets instead, to choose between rankers by,
and `--users` more or fewer of them.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import options_of, progress, report
from tfllmrec.data import Dataset, Split, Targets
from tfllmrec.data.lists import Lists
from tfllmrec.data.splits import leave_last_out
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.lists import list_ranks
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.ranker.candidates import scores_of
from tfllmrec.models.ranker.model import Ranker
from tfllmrec.models.registry import model_class
from tfllmrec.training.runs import Run, timed_fit

CANDIDATES, BLEND_USERS = 100, 500


def main() -> None:
    arguments = _arguments()
    run = Run.load(arguments.retriever)
    data, split = run.source.split()
    found = _lists(run, split, arguments.lists)
    fitted = Run.load(arguments.out) if arguments.out and arguments.out.exists() else _fit(arguments, run, split, found)
    ranker = fitted.recommender
    assert isinstance(ranker, Ranker), f"{ranker.family} is no ranker"

    random = np.random.default_rng(arguments.draw)
    asked = {"validation": split.validation, "test": split.test}[arguments.part]
    tested, others = np.split(random.permutation(len(asked))[: arguments.users + BLEND_USERS], [arguments.users])
    test = Lists(asked, found[arguments.part]).take(tested)
    known = np.isin(split.validation.users, asked.users[others])
    blended_by = Lists(split.validation, found["validation"])
    blended_by = blended_by.take(np.flatnonzero(known)).only_answered()
    weights = learn_weights(_scores(run, ranker, blended_by), blended_by.candidates, blended_by.targets.items)
    answered = np.flatnonzero(test.answered)  # other lists count 0 in whatever order
    scores = _scores(run, ranker, test.take(answered))
    orders = {"retriever": scores[:, :, 0], "ranker": scores[:, :, 1], "blend": scores @ weights}
    gains = {name: np.zeros(len(tested)) for name in orders}
    for name, order in orders.items():
        gains[name][answered] = ndcg(list_ranks(order, test.take(answered)), 10)

    name = Path(run.source.data).name
    result: dict[str, Any] = {"benchmark": "ranking", "data": name} | data.summary()
    result |= {"retriever": run.recommender.family, "ranker": ranker.family, "draw": arguments.draw}
    result |= {"part": arguments.part, "asked": len(tested), "answered": round(len(answered) / len(tested), 4)}
    result |= {"ndcg@10": {order: round(float(values.mean()), 5) for order, values in gains.items()}}
    for order in ("ranker", "blend"):
        gain = difference(gains[order], gains["retriever"])
        result[f"gain_of_{order}"] = {"mean": gain.mean, "low": gain.low, "high": gain.high}
    result |= {
        "weights": weights.round(4).tolist(),
        "seconds": round(fitted.seconds, 1),
        "ms": _milliseconds(ranker, test),
    }
    result |= {"history": dict(fitted.training_log), "config": ranker.config.to_dict()}
    report(result, f"ranking-{name}-{arguments.tag or ranker.family}" if arguments.record else None)


def _fit(arguments: argparse.Namespace, run: Run, split: Split, found: dict[str, np.ndarray]) -> Run:
    ranker = model_class(arguments.ranker)(**options_of(arguments.set))
    assert isinstance(ranker, Ranker), f"{arguments.ranker} is no ranker"
    ranker.retrieve = _from_file(split, found)
    unfinished = arguments.out and arguments.out.with_name(f"{arguments.out.name}.unfinished")
    seconds = timed_fit(
        ranker,
        split.train,
        split.validation,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=_tell_epoch)],
        backup=unfinished and unfinished / "fit.npz",
    )
    progress(f"fitted in {seconds:.0f} s")
    fitted = Run(ranker, run.source, seconds=seconds, training_log=ranker.training_log)
    if arguments.out:
        fitted.save(arguments.out)
        shutil.rmtree(unfinished, ignore_errors=True)
    return fitted


def _tell_epoch(epoch: int, logs: dict[str, float]) -> None:
    told = ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
    progress(f"{time.strftime('%H:%M')} epoch {epoch + 1}: {told}")


def _lists(run: Run, split: Split, path: Path) -> dict[str, np.ndarray]:
    """What the retriever finds for the answers to train on, for validation and for test."""
    if not path.exists():
        retriever = run.recommender
        earlier, last = leave_last_out(split.train)
        progress("the retriever is fitted without every user's last item")
        before = type(retriever)(retriever.refit_config()).fit(earlier, verbose=0)
        asked = {"train": (before, last), "validation": (retriever, split.validation), "test": (retriever, split.test)}
        kept: dict[str, Any] = {
            part: one.rank_targets(targets, CANDIDATES).top for part, (one, targets) in asked.items()
        }
        np.savez(path, **kept)
    with np.load(path) as file:
        return dict(file)


def _from_file(split: Split, found: dict[str, np.ndarray]) -> Callable[[Dataset, Sequence[Targets]], list[Lists]]:
    """A ranker's `retrieve`."""

    def retrieve(known: Dataset, questions: Sequence[Targets]) -> list[Lists]:
        part = "validation" if known is split.train else "train"
        return [Lists(asked, found[part]) for asked in questions]

    return retrieve


def _scores(run: Run, ranker: Ranker, lists: Lists) -> np.ndarray:
    """Of the retriever and the ranker, [n, N, 2]."""
    return np.stack([scores_of(run.recommender, lists), ranker.score_lists(lists)], axis=2)


def _milliseconds(ranker: Ranker, lists: Lists, count: int = 30) -> float:
    """The median time of scoring one list."""
    histories, times = lists.targets.histories.newest(ranker.history_length), []
    for row in range(count):
        asked = (lists.targets.users[[row]], histories[[row]], lists.candidates[[row]])
        started = time.perf_counter()
        ranker.score_candidates(*asked).numpy()
        times.append(time.perf_counter() - started)
    return round(float(np.median(times[3:])) * 1000, 2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--retriever", type=Path, required=True, help="a run of tfllmrec train")
    parser.add_argument("--lists", type=Path, required=True, help="where its candidates are kept, a .npz file")
    parser.add_argument("--ranker", required=True, help="bert_ranker, cross_encoder")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the ranker")
    parser.add_argument("--out", type=Path, help="where the fitted ranker is kept; one that is there is asked")
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="validation, to choose by")
    parser.add_argument("--users", type=int, default=1000, help="how many are drawn to be asked")
    parser.add_argument("--draw", type=int, default=0, help="seed of the sample of users")
    parser.add_argument("--tag", default="", help="ends the name of the result file")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
