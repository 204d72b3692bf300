"""Rankers: training lists without leakage, scores of candidates, and scores of raw texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Dataset, Split, Targets
from tfllmrec.data.candidate_lists import CandidateLists
from tfllmrec.data.histories import Histories
from tfllmrec.data.splits import leave_last_out
from tfllmrec.errors import InputError
from tfllmrec.evaluation.ranking import rank_targets
from tfllmrec.models.base.trainer import FitContext
from tfllmrec.models.ranker import training
from tfllmrec.models.ranker.candidates import TrainingLists, ranker_scores, single_retriever
from tfllmrec.models.registry import load_model, model_class

Make = Callable[..., Recommender]
LOWEST = np.finfo(np.float32).min
RANKERS = ["bert_ranker", "cross_encoder"]
USERS = np.array([1, 0, 7, 2], np.int32)
HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0]], np.int32)


@dataclass
class Spy:
    """Retrieve the first ten items for all targets, without the target of user 2, and record the calls."""

    calls: list[tuple[Dataset, list[Targets]]] = field(default_factory=list)
    retrieved: list[CandidateLists] = field(default_factory=list)
    lists: list[TrainingLists] = field(default_factory=list)

    def record_lists(self, patch: pytest.MonkeyPatch) -> None:
        """Keep the lists that a ranker is trained on."""
        retrieve = TrainingLists.retrieve

        def recorded(*arguments: Any, **options: Any) -> TrainingLists:
            self.lists.append(retrieve(*arguments, **options))
            return self.lists[-1]

        patch.setattr(TrainingLists, "retrieve", recorded)

    def __call__(self, known: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
        self.calls.append((known, [*targets]))
        for part in targets:
            candidates = np.tile(np.arange(1, 11, dtype=np.int32), (len(part), 1))
            candidates[(candidates == part.items[:, None]) & (part.users[:, None] == 2)] = 0
            self.retrieved.append(CandidateLists(part, candidates))
        return self.retrieved[-len(targets) :]


@pytest.fixture(scope="module", params=RANKERS)
def spied(request: pytest.FixtureRequest, make: Make, split: Split) -> tuple[Recommender, Spy]:
    recommender, spy = make(request.param), Spy()
    with pytest.MonkeyPatch.context() as patch:
        spy.record_lists(patch)
        recommender.fit_in_context(split.train, split.validation, FitContext(verbose=0, retrieve=spy))
    return recommender, spy


@pytest.fixture(scope="module")
def trained(spied: tuple[Recommender, Spy]) -> Recommender:
    return spied[0]


def test_training_lists_are_retrieved_without_the_targets(spied: tuple[Recommender, Spy], split: Split) -> None:
    known, [targets] = spied[1].calls[0]
    assert len(targets) == len(split.train.user_vocabulary)
    for user, history, target in zip(targets.users, targets.histories.padded(), targets.items, strict=True):
        whole = split.train.histories.row(user).tolist()
        assert known.histories.row(user).tolist() == history[history > 0].tolist() == whole[:-1]
        assert target == whole[-1]


def test_targets_are_not_inserted_into_validation_lists(spied: tuple[Recommender, Spy], split: Split) -> None:
    recommender, spy = spied
    [(_, _), (known, [targets])] = spy.calls
    assert known is split.train
    assert targets is split.validation
    lists, retrieved = spy.lists[0].validation, spy.retrieved[1]
    assert lists is not None
    assert sorted(lists.targets.users) == sorted(retrieved.targets.users)
    for user, candidates in zip(lists.targets.users, lists.candidates, strict=True):
        np.testing.assert_array_equal(candidates, retrieved.candidates[retrieved.targets.users == user][0])
    missing = ~(lists.candidates == lists.targets.items[:, None]).any(axis=1)
    assert missing.any()
    assert lists.targets.users[missing].tolist().count(2) == 1
    assert len(recommender.training_log["val_ndcg@10"]) == recommender.config.epochs


def test_training_lists_are_the_retrieved_lists_with_their_target(spied: tuple[Recommender, Spy]) -> None:
    _, spy = spied
    lists, retrieved = spy.lists[0].train, spy.retrieved[0]
    assert 0 < len(lists.targets) < len(retrieved.targets)
    rows = zip(retrieved.targets.users, retrieved.candidates, retrieved.targets.items, strict=True)
    for user, candidates, target in rows:
        kept = lists.candidates[lists.targets.users == user]
        assert kept.tolist() == ([candidates.tolist()] if target in candidates else [])


@pytest.mark.parametrize(
    ("option", "part", "call"), [("max_train_lists", "train", 0), ("max_validation_lists", "validation", 1)]
)
def test_lists_are_sampled_by_the_seed(configured: Make, split: Split, option: str, part: str, call: int) -> None:
    samples = []
    for seed in (0, 0, 1):
        config, spy = configured("bert_ranker", **{option: 5}, seed=seed).config, Spy()
        earlier, last = leave_last_out(split.train)
        lists = TrainingLists.retrieve(
            spy, config, train=split.train, earlier=earlier, last=last, validation=split.validation
        )
        sample, retrieved = getattr(lists, part), spy.retrieved[call]
        users = sample.targets.users.tolist()
        assert len({*users}) == 5
        rows = [retrieved.targets.users.tolist().index(user) for user in users]
        np.testing.assert_array_equal(sample.candidates, retrieved.candidates[rows])
        samples.append(users)
    assert samples[0] == samples[1] != samples[2]
    assert {*samples[0]} != {*retrieved.targets.users[:5].tolist()}


def test_lists_are_cut_to_their_size_in_training(
    spied: tuple[Recommender, Spy], configured: Make, split: Split
) -> None:
    for size, width in ((0, 10), (3, 3)):
        config = configured("bert_ranker", list_size=size, batch_size=7).config
        features, labels = next(iter(training._batches(config, split.train, spied[1].lists[0])(0)))
        assert features["candidates"].shape == labels.shape == (7, width)
        np.testing.assert_array_equal(labels.numpy().sum(axis=1), 1)


def test_lists_without_any_target_are_refused(make: Make, split: Split) -> None:
    recommender = make("bert_ranker", candidates=3)

    def retrieve_padding(_: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
        return [CandidateLists(part, np.zeros((len(part), 3), np.int32)) for part in targets]

    with pytest.raises(
        InputError, match=r"^ranker: no list of candidates has its target; raise candidates above 3, or "
    ):
        recommender.fit_in_context(split.train, split.validation, FitContext(verbose=0, retrieve=retrieve_padding))


def test_the_retriever_is_of_the_named_family(configured: Make, split: Split) -> None:
    config = configured("bert_ranker", retriever="ease", candidates=7, seed=3).config
    [lists] = single_retriever(config)(split.train, [split.validation])
    expected = model_class("ease")(seed=3).fit(split.train, verbose=0).rank_targets(split.validation, 7).top
    np.testing.assert_array_equal(lists.candidates, expected)
    assert lists.targets is split.validation


def test_candidate_scores_equal_the_scores_of_all_items(trained: Recommender) -> None:
    candidates = np.array([[1, 20, 4], [5, 5, 2], [20, 1, 3], [3, 2, 1]], np.int32)
    scores = trained.predictor.score_candidates(USERS, HISTORIES, candidates)["scores"].numpy()
    all_scores = trained.score(USERS, HISTORIES).numpy()
    np.testing.assert_allclose(scores, np.take_along_axis(all_scores, candidates, axis=1), rtol=1e-4, atol=1e-5)
    assert scores[1, 0] == scores[1, 1] != scores[1, 2]
    np.testing.assert_allclose(scores[3], np.log1p(trained.fitted_data.counts[[3, 2, 1]]), rtol=1e-5)


def test_an_item_subset_is_scored_alone(trained: Recommender, split: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last block is not full; some histories are empty."""
    item_subset = np.array([2, 19, 7, 4], np.int64)
    targets = split.test.take(np.flatnonzero(np.isin(split.test.items, item_subset)))
    rows = [targets.histories.row(row) if user % 3 else [] for row, user in enumerate(targets.users)]
    targets = replace(targets, histories=Histories.from_rows(rows))
    expected = rank_targets(trained.score, targets, trained.history_length, k=3, item_subset=item_subset)
    monkeypatch.setattr(trained.predictor, "score", None)
    monkeypatch.setattr("tfllmrec.models.base.predictor._PAIRS", 2 * len(item_subset))
    ranked = trained.rank_targets(targets, 3, item_subset=item_subset)
    assert len(targets) % 3
    assert len({*ranked.ranks.tolist()}) > 1
    np.testing.assert_array_equal(ranked.ranks, expected.ranks)
    np.testing.assert_array_equal(ranked.top, expected.top)


def test_targets_outside_the_item_subset_are_refused(trained: Recommender, split: Split) -> None:
    with pytest.raises(InputError, match=r"^targets: 40 of 40 are not among the items to rank; leave them out$"):
        trained.rank_targets(split.test, item_subset=np.zeros(0, np.int32))


def test_candidates_are_scored_independently(trained: Recommender) -> None:
    candidates = np.array([[1, 20, 4, 0, 0]] * 4, np.int32)
    scores = trained.predictor.score_candidates(USERS, HISTORIES, candidates)["scores"].numpy()
    assert np.isfinite(scores).all()
    for column in range(3):
        alone = trained.predictor.score_candidates(USERS, HISTORIES, candidates[:, column : column + 1])["scores"]
        np.testing.assert_allclose(alone[:, 0], scores[:, column], rtol=1e-4, atol=1e-5)
    assert trained.predictor.score_candidates(USERS, HISTORIES, candidates[:, :0])["scores"].shape == (4, 0)
    assert trained.predictor.score_candidates(USERS[:0], HISTORIES[:0], candidates[:0])["scores"].shape == (0, 5)


def test_lists_are_scored_in_blocks(
    spied: tuple[Recommender, Spy], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    recommender, spy = spied
    lists = spy.retrieved[1]
    histories = lists.targets.histories.most_recent(4)
    expected = recommender.predictor.score_candidates(lists.targets.users, histories, lists.candidates)["scores"]
    monkeypatch.setattr("tfllmrec.models.ranker.candidates.BLOCK", 7)
    assert len(lists.targets) % 7
    np.testing.assert_allclose(ranker_scores(recommender.predictor, lists), expected, rtol=1e-4, atol=1e-5)


TEXTS = [
    "even item",
    "odd item",
    "花样年华 2",
    "[SEP] [CLS] [MASK]",
    "🎬🇫🇷",
    "x" * 5000,
    "word " * 3000,
    "\ud800",
    "a\0b\x07",
]


def test_unusual_texts_are_scored(trained: Recommender) -> None:
    histories = [["even item 2", "even"], [], ["", " \xa0\u3000", "even item 2", "even", ""], TEXTS]
    candidates = [TEXTS, TEXTS[:2], [*TEXTS[:2], "", " \t\u3000"], []]
    scores = trained.score_texts(histories, candidates)
    assert [len(row) for row in scores] == [len(row) for row in candidates]
    assert all(np.isfinite(row).all() and row.dtype == np.float32 for row in scores)
    assert (scores[0] > LOWEST).all()
    assert np.ptp(scores[0]) > 1e-6
    np.testing.assert_allclose(scores[2][:2], scores[0][:2], rtol=1e-4, atol=1e-5)
    assert (scores[2][2:] == LOWEST).all()
    for history, row, expected in zip(histories, candidates, scores, strict=True):
        np.testing.assert_allclose(trained.score_texts([history], [row])[0], expected, rtol=1e-4, atol=1e-5)


def test_as_many_texts_are_read_as_items(trained: Recommender) -> None:
    old, newest = ["odd 9", "odd 8"], ["even 2", "", "even 4", "even 6", "even 8"]
    scores = trained.score_texts([old + newest, newest, newest[::-1]], [TEXTS[:3]] * 3)
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(scores[2], scores[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("histories", "candidates"), [([], []), ([[]], [[]]), ([[], ["a"]], [[], []])])
def test_empty_rows_have_empty_scores(
    trained: Recommender, histories: list[list[str]], candidates: list[list[str]]
) -> None:
    assert [row.shape for row in trained.score_texts(histories, candidates)] == [(0,)] * len(candidates)


@pytest.mark.parametrize(
    ("histories", "candidates", "sentence"),
    [
        ([["a"]], [["b"], ["c"]], r"the rows do not match \(1 histories, 2 "),
        (["a"], [["b"]], "histories must have a list of strings per row, not 'a'"),
        ([["a"]], "b", "candidates must be a list with one entry per row, not 'b'"),
        ([["a", 3]], [["b"]], "histories has 3, which is not a string"),
    ],
)
def test_invalid_texts_are_refused(trained: Recommender, histories: Any, candidates: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        trained.score_texts(histories, candidates)


def test_texts_before_fit_are_refused(make: Make) -> None:
    with pytest.raises(InputError, match="call fit first"):
        make("bert_ranker").score_texts([["a"]], [["b"]])


def test_a_loaded_ranker_scores_the_same(trained: Recommender, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    candidates = np.array([[1, 20, 4]] * 4, np.int32)
    scores, expected = (
        model.predictor.score_candidates(USERS, HISTORIES, candidates)["scores"] for model in (again, trained)
    )
    np.testing.assert_array_equal(scores, expected)
    texts = ([["even item 2"], []], [TEXTS, TEXTS[:1]])
    for row, expected in zip(again.score_texts(*texts), trained.score_texts(*texts), strict=True):
        np.testing.assert_array_equal(row, expected)
