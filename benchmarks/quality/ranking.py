"""Quality of a ranker's order of candidates, compared with the order of the retriever that found them.

    tfllmrec train next_item --data FOLDER --out RUN
    python -m benchmarks.quality.ranking --retriever RUN --lists LISTS --ranker bert_ranker \
        --set backbone=all-minilm-l6-v2

Training: the retriever is fitted again without every user's last item, and its candidates for these items are the
ranker's training lists. The ranker is chosen by the validation targets. Evaluation: RUN retrieves 100 candidates for
the test targets of a seeded sample of 1,000 users, and the ranker orders them; a target that is not among its
candidates counts 0. LISTS is a file that keeps all candidates, so that every ranker gets the same ones. `--out RANKER`
keeps the ranker; an interrupted fit resumes when the same command is repeated. To choose between rankers, evaluate them
on validation targets with `--part validation`.

Prints one JSON line: ndcg@10 of the retriever's order, of the ranker's order, and of a blend of both, with weights
learnt on the validation lists of 500 other users; gains over the retriever with bootstrap intervals over users;
milliseconds for scoring 100 candidates.
"""

import argparse
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.common import benchmark_parser, parse_options, progress, report
from tfllmrec.data import Dataset, Split, Targets
from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.splits import leave_last_out
from tfllmrec.evaluation.bootstrap import difference
from tfllmrec.evaluation.lists import list_ranks
from tfllmrec.evaluation.metrics import ndcg
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.ranker.candidates import ranker_scores, retriever_scores
from tfllmrec.models.registry import model_class
from tfllmrec.training.runs import Run, timed_fit

CANDIDATES, BLEND_USERS = 100, 500


def main() -> None:
    arguments = _arguments()
    run = Run.load(arguments.retriever)
    data, split = run.source.split()
    candidates = _candidates(run, split, arguments.lists)
    fitted = (
        Run.load(arguments.out) if arguments.out and arguments.out.exists() else _fit(arguments, run, split, candidates)
    )
    ranker = fitted.recommender

    random = np.random.default_rng(arguments.draw)
    targets = {"validation": split.validation, "test": split.test}[arguments.part]
    tested, others = np.split(random.permutation(len(targets))[: arguments.users + BLEND_USERS], [arguments.users])
    test = CandidateLists(targets, candidates[arguments.part]).take(tested)
    of_others = np.flatnonzero(np.isin(split.validation.users, targets.users[others]))
    blending = CandidateLists(split.validation, candidates["validation"]).take(of_others).with_target()
    weights = learn_weights(_scores(run, ranker, blending), blending.candidates, blending.targets.items)
    retrieved = np.flatnonzero(test.has_target)  # the other lists count 0 in any order
    scores = _scores(run, ranker, test.take(retrieved))
    orders = {"retriever": scores[:, :, 0], "ranker": scores[:, :, 1], "blend": scores @ weights}
    gains = {name: np.zeros(len(tested)) for name in orders}
    for name, order in orders.items():
        gains[name][retrieved] = ndcg(list_ranks(order, test.take(retrieved)), 10)

    name = Path(run.source.data).name
    result: dict[str, Any] = {"benchmark": "ranking", "data": name} | data.summary()
    result |= {"retriever": run.recommender.family, "ranker": ranker.family, "draw": arguments.draw}
    result |= {"part": arguments.part, "targets": len(tested), "retrieved": round(len(retrieved) / len(tested), 4)}
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


def _fit(arguments: argparse.Namespace, run: Run, split: Split, candidates: dict[str, np.ndarray]) -> Run:
    ranker = model_class(arguments.ranker).from_options(parse_options(arguments.set))
    unfinished = arguments.out and arguments.out.with_name(f"{arguments.out.name}.unfinished")
    seconds = timed_fit(
        ranker,
        split.train,
        split.validation,
        callbacks=[keras.callbacks.LambdaCallback(on_epoch_end=_print_epoch)],
        backup=unfinished and unfinished / "fit.npz",
        retrieve=_from_file(split, candidates),
    )
    progress(f"fitted in {seconds:.0f} s")
    fitted = Run(ranker, run.source, seconds=seconds, training_log=ranker.training_log)
    if arguments.out:
        fitted.save(arguments.out)
        shutil.rmtree(unfinished, ignore_errors=True)
    return fitted


def _print_epoch(epoch: int, logs: dict[str, float]) -> None:
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in logs.items())
    progress(f"{time.strftime('%H:%M')} epoch {epoch + 1}: {metrics}")


def _candidates(run: Run, split: Split, path: Path) -> dict[str, np.ndarray]:
    """Return the retriever's candidates for the training, validation and test targets, kept in a file."""
    if not path.exists():
        retriever = run.recommender
        earlier, last = leave_last_out(split.train)
        progress("fitting the retriever without every user's last item")
        earlier_retriever = retriever.with_config(retriever.refit_config()).fit(earlier, verbose=0)
        parts = {
            "train": (earlier_retriever, last),
            "validation": (retriever, split.validation),
            "test": (retriever, split.test),
        }
        lists: dict[str, Any] = {
            part: model.rank_targets(targets, CANDIDATES).top for part, (model, targets) in parts.items()
        }
        np.savez(path, **lists)
    with np.load(path) as file:
        return dict(file)


def _from_file(
    split: Split, candidates: dict[str, np.ndarray]
) -> Callable[[Dataset, Sequence[Targets]], list[CandidateLists]]:
    """Return a function for a ranker's `retrieve` that looks candidates up."""

    def retrieve(train: Dataset, queries: Sequence[Targets]) -> list[CandidateLists]:
        part = "validation" if train is split.train else "train"
        return [CandidateLists(targets, candidates[part]) for targets in queries]

    return retrieve


def _scores(run: Run, ranker: Recommender, lists: CandidateLists) -> np.ndarray:
    """Return the scores of the retriever and the ranker, float32 [n, N, 2]."""
    return np.stack([retriever_scores(run.recommender, lists), ranker_scores(ranker.predictor, lists)], axis=2)


def _milliseconds(ranker: Recommender, lists: CandidateLists, count: int = 30) -> float:
    """Return the median time of scoring one list."""
    histories, times = lists.targets.histories.most_recent(ranker.history_length), []
    for row in range(count):
        request = (lists.targets.users[[row]], histories[[row]], lists.candidates[[row]])
        started = time.perf_counter()
        ranker.predictor.score_candidates(*request)["scores"].numpy()
        times.append(time.perf_counter() - started)
    return round(float(np.median(times[3:])) * 1000, 2)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--retriever", type=Path, required=True, help="a run of tfllmrec train")
    parser.add_argument("--lists", type=Path, required=True, help=".npz file that keeps the candidates")
    parser.add_argument("--ranker", required=True, help="bert_ranker, cross_encoder")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="options of the ranker")
    parser.add_argument("--out", type=Path, help="folder of the fitted ranker; an existing one is evaluated")
    parser.add_argument("--part", choices=["validation", "test"], default="test", help="targets to evaluate on")
    parser.add_argument("--users", type=int, default=1000, help="number of sampled users")
    parser.add_argument("--draw", type=int, default=0, help="seed of the sample of users")
    parser.add_argument("--tag", default="", help="suffix of the result file's name")
    return parser.parse_args()


if __name__ == "__main__":
    main()
