"""What rankers share: lists to learn from that leak nothing, scores of given candidates and of raw texts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfllmrec import Recommender
from tfllmrec.data import Checkerboard, Dataset, Split, Targets, leave_one_out
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
EVERYBODY = np.array([1, 0, 7, 2], np.int32)
HISTORIES = np.array([[1, 3, 5, 7], [2, 4, 0, 0], [9, 0, 0, 0], [0, 0, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def split(board: Checkerboard) -> Split:
    return leave_one_out(board.data)


@dataclass
class Spy:
    """Finds lists of the first items for every question, and never the answer of the second user."""

    calls: list[tuple[Dataset, list[Targets]]] = field(default_factory=list)
    found: list[CandidateLists] = field(default_factory=list)
    lists: list[TrainingLists] = field(default_factory=list)

    def record_lists(self, patch: pytest.MonkeyPatch) -> None:
        """Keep the lists that a ranker is trained on."""
        retrieve = TrainingLists.retrieve

        def recorded(*arguments: Any, **options: Any) -> TrainingLists:
            self.lists.append(retrieve(*arguments, **options))
            return self.lists[-1]

        patch.setattr(TrainingLists, "retrieve", recorded)

    def __call__(self, known: Dataset, questions: Sequence[Targets]) -> list[CandidateLists]:
        self.calls.append((known, [*questions]))
        for asked in questions:
            candidates = np.tile(np.arange(1, 11, dtype=np.int32), (len(asked), 1))
            candidates[(candidates == asked.items[:, None]) & (asked.users[:, None] == 2)] = 0
            self.found.append(CandidateLists(asked, candidates))
        return self.found[-len(questions) :]


@pytest.fixture(scope="module", params=RANKERS)
def spied(request: pytest.FixtureRequest, make: Make, split: Split) -> tuple[Recommender, Spy]:
    made, spy = make(request.param), Spy()
    with pytest.MonkeyPatch.context() as patch:
        spy.record_lists(patch)
        made.fit_in_context(split.train, split.validation, FitContext(verbose=0, retrieve=spy))
    return made, spy


@pytest.fixture(scope="module")
def trained(spied: tuple[Recommender, Spy]) -> Recommender:
    return spied[0]


def test_the_lists_to_learn_from_are_of_who_did_not_know_the_answers(
    spied: tuple[Recommender, Spy], split: Split
) -> None:
    known, [asked] = spied[1].calls[0]
    assert len(asked) == len(split.train.user_vocabulary)
    for user, history, answer in zip(asked.users, asked.histories.padded(), asked.items, strict=True):
        whole = split.train.histories.row(user).tolist()
        assert known.histories.row(user).tolist() == history[history > 0].tolist() == whole[:-1]
        assert answer == whole[-1]


def test_the_lists_to_choose_by_never_get_the_answer(spied: tuple[Recommender, Spy], split: Split) -> None:
    made, spy = spied
    [(_, _), (known, [asked])] = spy.calls
    assert known is split.train
    assert asked is split.validation
    chosen, found = spy.lists[0].validation, spy.found[1]
    assert chosen is not None
    assert sorted(chosen.targets.users) == sorted(found.targets.users)
    for user, candidates in zip(chosen.targets.users, chosen.candidates, strict=True):
        np.testing.assert_array_equal(candidates, found.candidates[found.targets.users == user][0])
    missing = ~(chosen.candidates == chosen.targets.items[:, None]).any(axis=1)
    assert missing.any()
    assert chosen.targets.users[missing].tolist().count(2) == 1
    assert len(made.training_log["val_ndcg@10"]) == made.config.epochs


def test_what_is_learnt_from_are_the_lists_with_their_answer_as_they_were_found(spied: tuple[Recommender, Spy]) -> None:
    _, spy = spied
    lists, found = spy.lists[0].train, spy.found[0]
    assert 0 < len(lists.targets) < len(found.targets)
    for user, candidates, answer in zip(found.targets.users, found.candidates, found.targets.items, strict=True):
        max_train_lists = lists.candidates[lists.targets.users == user]
        assert max_train_lists.tolist() == ([candidates.tolist()] if answer in candidates else [])


@pytest.mark.parametrize(
    ("option", "part", "place"), [("max_train_lists", "train", 0), ("max_validation_lists", "validation", 1)]
)
def test_a_sample_of_the_lists_may_do(configured: Make, split: Split, option: str, part: str, place: int) -> None:
    """One for every seed, and not the first ones."""
    samples = []
    for seed in (0, 0, 1):
        config, spy = configured("bert_ranker", **{option: 5}, seed=seed).config, Spy()
        earlier, last = leave_last_out(split.train)
        lists = TrainingLists.retrieve(
            spy, config, train=split.train, earlier=earlier, last=last, validation=split.validation
        )
        sample, found = getattr(lists, part), spy.found[place]
        users = sample.targets.users.tolist()
        assert len({*users}) == 5
        rows = [found.targets.users.tolist().index(user) for user in users]
        np.testing.assert_array_equal(sample.candidates, found.candidates[rows])
        samples.append(users)
    assert samples[0] == samples[1] != samples[2]
    assert {*samples[0]} != {*found.targets.users[:5].tolist()}


def test_lists_are_cut_to_their_size_in_training(
    spied: tuple[Recommender, Spy], configured: Make, split: Split
) -> None:
    for size, width in ((0, 10), (3, 3)):
        config = configured("bert_ranker", list_size=size, batch_size=7).config
        features, labels = next(iter(training._batches(config, split.train, spied[1].lists[0])(0)))
        assert features["candidates"].shape == labels.shape == (7, width)
        np.testing.assert_array_equal(labels.numpy().sum(axis=1), 1)


def test_nothing_to_learn_from(make: Make, split: Split) -> None:
    made = make("bert_ranker", candidates=3)

    def nothing(_: Dataset, targets: Sequence[Targets]) -> list[CandidateLists]:
        return [CandidateLists(part, np.zeros((len(part), 3), np.int32)) for part in targets]

    with pytest.raises(InputError, match="ranker: the retriever finds none of the items to learn from; raise candida"):
        made.fit_in_context(split.train, split.validation, FitContext(verbose=0, retrieve=nothing))


def test_lists_come_from_the_family_that_is_named(configured: Make, split: Split) -> None:
    config = configured("bert_ranker", retriever="ease", candidates=7, seed=3).config
    [found] = single_retriever(config)(split.train, [split.validation])
    expected = model_class("ease")(seed=3).fit(split.train, verbose=0).rank_targets(split.validation, 7).top
    np.testing.assert_array_equal(found.candidates, expected)
    assert found.targets is split.validation


def test_scores_of_candidates_are_columns_of_all_scores(trained: Recommender) -> None:
    candidates = np.array([[1, 20, 4], [5, 5, 2], [20, 1, 3], [3, 2, 1]], np.int32)
    found = trained.predictor.score_candidates(EVERYBODY, HISTORIES, candidates)["scores"].numpy()
    every = trained.score(EVERYBODY, HISTORIES).numpy()
    np.testing.assert_allclose(found, np.take_along_axis(every, candidates, axis=1), rtol=1e-4, atol=1e-5)
    assert found[1, 0] == found[1, 1] != found[1, 2]
    np.testing.assert_allclose(found[3], np.log1p(trained.fitted_data.counts[[3, 2, 1]]), rtol=1e-5)


def test_among_some_items_no_others_are_scored(
    trained: Recommender, split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In blocks, the last of them not full; some have an empty history."""
    item_subset = np.array([2, 19, 7, 4], np.int64)
    targets = split.test.take(np.flatnonzero(np.isin(split.test.items, item_subset)))
    rows = [targets.histories.row(place) if user % 3 else [] for place, user in enumerate(targets.users)]
    targets = replace(targets, histories=Histories.from_rows(rows))
    expected = rank_targets(trained.score, targets, trained.history_length, k=3, item_subset=item_subset)
    monkeypatch.setattr(trained.predictor, "score", None)
    monkeypatch.setattr("tfllmrec.models.base.predictor._BLOCK", 2 * len(item_subset))
    found = trained.rank_targets(targets, 3, item_subset=item_subset)
    assert len(targets) % 3
    assert len({*found.ranks.tolist()}) > 1
    np.testing.assert_array_equal(found.ranks, expected.ranks)
    np.testing.assert_array_equal(found.top, expected.top)


def test_among_no_items(trained: Recommender, split: Split) -> None:
    with pytest.raises(InputError, match=r"^targets: 40 of 40 are not among the items to rank; leave them out$"):
        trained.rank_targets(split.test, item_subset=np.zeros(0, np.int32))


def test_candidates_do_not_see_each_other(trained: Recommender) -> None:
    candidates = np.array([[1, 20, 4, 0, 0]] * 4, np.int32)
    found = trained.predictor.score_candidates(EVERYBODY, HISTORIES, candidates)["scores"].numpy()
    assert np.isfinite(found).all()
    for place in range(3):
        alone = trained.predictor.score_candidates(EVERYBODY, HISTORIES, candidates[:, place : place + 1])["scores"]
        np.testing.assert_allclose(alone[:, 0], found[:, place], rtol=1e-4, atol=1e-5)
    assert trained.predictor.score_candidates(EVERYBODY, HISTORIES, candidates[:, :0])["scores"].shape == (4, 0)
    assert trained.predictor.score_candidates(EVERYBODY[:0], HISTORIES[:0], candidates[:0])["scores"].shape == (0, 5)


def test_lists_are_scored_some_at_a_time(
    spied: tuple[Recommender, Spy], split: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, spy = spied
    lists = spy.found[1]
    histories = lists.targets.histories.most_recent(4)
    expected = made.predictor.score_candidates(lists.targets.users, histories, lists.candidates)["scores"]
    monkeypatch.setattr("tfllmrec.models.ranker.candidates.BLOCK", 7)
    assert len(lists.targets) % 7
    np.testing.assert_allclose(ranker_scores(made.predictor, lists), expected, rtol=1e-4, atol=1e-5)


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


def test_texts_of_every_kind_are_scored(trained: Recommender) -> None:
    histories = [["even item 2", "even"], [], ["", " \xa0\u3000", "even item 2", "even", ""], TEXTS]
    candidates = [TEXTS, TEXTS[:2], [*TEXTS[:2], "", " \t\u3000"], []]
    scores = trained.score_texts(histories, candidates)
    assert [len(row) for row in scores] == [len(row) for row in candidates]
    assert all(np.isfinite(row).all() and row.dtype == np.float32 for row in scores)
    assert (scores[0] > LOWEST).all()
    assert np.ptp(scores[0]) > 1e-6
    np.testing.assert_allclose(scores[2][:2], scores[0][:2], rtol=1e-4, atol=1e-5)
    assert (scores[2][2:] == LOWEST).all()
    for history, asked, expected in zip(histories, candidates, scores, strict=True):
        np.testing.assert_allclose(trained.score_texts([history], [asked])[0], expected, rtol=1e-4, atol=1e-5)


def test_the_newest_texts_are_read(trained: Recommender) -> None:
    """As many as of items."""
    old, newest = ["odd 9", "odd 8"], ["even 2", "", "even 4", "even 6", "even 8"]
    found = trained.score_texts([old + newest, newest, newest[::-1]], [TEXTS[:3]] * 3)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4, atol=1e-6)
    assert not np.allclose(found[2], found[1], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("histories", "candidates"), [([], []), ([[]], [[]]), ([[], ["a"]], [[], []])])
def test_no_texts(trained: Recommender, histories: list[list[str]], candidates: list[list[str]]) -> None:
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
def test_bad_texts(trained: Recommender, histories: Any, candidates: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        trained.score_texts(histories, candidates)


def test_nothing_is_scored_before_fit(make: Make) -> None:
    with pytest.raises(InputError, match="call fit first"):
        make("bert_ranker").score_texts([["a"]], [["b"]])


def test_what_is_saved_scores_alike(trained: Recommender, tmp_path: Path) -> None:
    trained.save(tmp_path / "run")
    again = load_model(tmp_path / "run")
    candidates = np.array([[1, 20, 4]] * 4, np.int32)
    found, expected = (
        one.predictor.score_candidates(EVERYBODY, HISTORIES, candidates)["scores"] for one in (again, trained)
    )
    np.testing.assert_array_equal(found, expected)
    texts = ([["even item 2"], []], [TEXTS, TEXTS[:1]])
    for one, other in zip(again.score_texts(*texts), trained.score_texts(*texts), strict=True):
        np.testing.assert_array_equal(one, other)
