"""Retrievers and a ranker as one recommender: parts, weights and scores."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tfllmrec import Cascade, Recommender, Word2Vec
from tfllmrec.data import Split, Targets
from tfllmrec.data.candidate_lists import CandidateLists, union
from tfllmrec.errors import InputError
from tfllmrec.models.cascade.blend import learn_weights
from tfllmrec.models.ranker.candidates import TrainingLists, ranker_scores, retriever_scores

Make = Callable[..., Any]
SIZES = {"candidates": 4, "ranked": 6}


@pytest.fixture(scope="module")
def popular(make: Make, split: Split) -> Recommender:
    return make("popularity").fit(split.train)


@pytest.fixture(scope="module")
def words(split: Split) -> Recommender:
    return Word2Vec(history_length=4).fit(split.train, verbose=0)


@pytest.fixture(scope="module")
def ranker(make: Make, split: Split) -> Recommender:
    return make("bert_ranker").fit(split.train, split.validation, verbose=0)


@pytest.fixture(scope="module")
def whole(chain: Recommender, words: Recommender, ranker: Recommender, split: Split) -> Cascade:
    return Cascade(retrievers=[chain, words], ranker=ranker, **SIZES).fit(split.train, split.validation)


def test_fitted_parts_are_used(whole: Cascade, chain: Recommender, words: Recommender, ranker: Recommender) -> None:
    assert (whole.retrievers, whole.ranker) == ((chain, words), ranker)
    assert (whole.config.retrievers, whole.config.ranker) == (("markov_chain", "word2vec"), "bert_ranker")
    assert whole.history_length == 6
    assert whole.weights.shape == (3,)
    assert (whole.weights >= 0).all()


def test_weights_are_learnt_from_lists_of_validation_targets(
    whole: Cascade, chain: Recommender, words: Recommender, ranker: Recommender, split: Split
) -> None:
    targets = split.validation
    lists = union([CandidateLists(targets, part.rank_targets(targets, 6).top) for part in (chain, words)])
    columns = []
    for part in (chain, words):
        scores = part.score(targets.users, targets.histories.most_recent(part.history_length)).numpy()
        columns.append(np.take_along_axis(scores, lists.candidates, axis=1))
    columns.append(
        ranker.predictor.score_candidates(targets.users, targets.histories.most_recent(4), lists.candidates)[
            "scores"
        ].numpy()
    )
    expected = learn_weights(np.stack(columns, axis=2), lists.candidates, targets.items)
    np.testing.assert_allclose(whole.weights, expected, rtol=1e-2, atol=1e-3)


def test_uninformative_parts_have_small_weights(popular: Recommender, chain: Recommender, split: Split) -> None:
    weights = Cascade(retrievers=[popular, chain], ranker="", **SIZES).fit(split.train, split.validation).weights
    assert weights[1] > 5 * weights[0]


def test_given_weights_are_not_learnt(popular: Recommender, chain: Recommender, split: Split) -> None:
    for weights in ((3, 0.5), "3,0.5"):
        model = Cascade(retrievers=[popular, chain], ranker="", weights=weights, **SIZES).fit(
            split.train, split.validation
        )
        np.testing.assert_array_equal(model.weights, [3, 0.5])


def test_weights_equalise_deviations_without_validation_targets(
    popular: Recommender, chain: Recommender, ranker: Recommender, split: Split
) -> None:
    """Weighted scores of the candidates of known users have deviation 1; empty positions are left out."""
    model, users = Cascade(retrievers=[popular, chain], ranker=ranker, **SIZES), np.arange(1, 41, dtype=np.int32)
    model.fit(split.train)
    targets = Targets(users, split.train.histories.take(users), np.ones_like(users))
    lists = union([CandidateLists(targets, part.rank_targets(targets, 6).top) for part in (popular, chain)])
    present = lists.candidates > 0
    assert not present.all()
    scores = [
        retriever_scores(popular, lists),
        retriever_scores(chain, lists),
        ranker_scores(ranker.predictor, lists),
    ]
    for weight, part_scores in zip(model.weights, scores, strict=True):
        assert weight * part_scores[present].std() == pytest.approx(1, rel=1e-3)


def test_scores_are_the_weighted_sum_of_the_parts(
    whole: Cascade, chain: Recommender, words: Recommender, ranker: Recommender, split: Split
) -> None:
    users, histories = np.array([0, 3], np.int32), split.validation.histories.take(np.array([0, 5]))
    scores = whole.score(users, histories.most_recent(6), exclude=histories.padded()).numpy()
    chain_scores = chain.score(users, histories.most_recent(6)).numpy()
    words_scores = words.score(users, histories.most_recent(4)).numpy()
    blended = whole.weights[0] * chain_scores + whole.weights[1] * words_scores
    all_items = np.tile(np.arange(21, dtype=np.int32), (2, 1))
    added = (
        blended
        + whole.weights[2]
        * ranker.predictor.score_candidates(users, histories.most_recent(4), all_items)["scores"].numpy()
    )
    for row in range(2):
        seen = histories.row(row).tolist()
        left = [item for item in range(1, 21) if item not in seen]
        best = [sorted(left, key=lambda item: -scores[row, item])[:4] for scores in (chain_scores, words_scores)]
        candidates = sorted({*best[0], *best[1]}, key=lambda item: -blended[row, item])[:6]
        np.testing.assert_allclose(scores[row, candidates], added[row, candidates], rtol=1e-3, atol=1e-3)
        others = [item for item in range(1, 21) if item not in candidates]
        assert scores[row, others].max() < scores[row, candidates].min()


def test_evaluation_retrieves_unseen_items(whole: Cascade, split: Split) -> None:
    """The whole history is excluded, including items older than those that any part reads."""
    targets = split.test
    assert targets.histories.lengths.min() > whole.history_length
    ranked = whole.rank_targets(targets)
    for row in range(0, len(targets), 7):
        user, seen = targets.users[row : row + 1], targets.histories.row(row)
        scores = whole.score(user, targets.histories.take([row]).most_recent(6), exclude=seen[None]).numpy()[0]
        scores[[0, *seen]] = -np.inf
        assert ranked.ranks[row] == np.sum(scores >= scores[targets.items[row]])
        order = np.argsort(-scores, kind="stable")[:10]
        np.testing.assert_array_equal(ranked.top[row][: 20 - len(seen)], order[: 20 - len(seen)])


def test_an_item_subset_is_ranked_alone(whole: Cascade, split: Split) -> None:
    item_subset = np.unique(split.test.items)[:9]
    chosen = np.isin(split.test.items, item_subset)
    histories = split.test.histories.take(np.flatnonzero(chosen))
    targets = Targets(split.test.users[chosen], histories, split.test.items[chosen])
    top = whole.rank_targets(targets, item_subset=item_subset).top
    assert np.isin(top[top > 0], item_subset).all()


@pytest.fixture(scope="module")
def fits(make: Make, split: Split) -> tuple[Cascade, list[tuple[Any, ...]], TrainingLists]:
    """A cascade fitted with validation targets, all fits as (family, rows), and the lists of its ranker."""
    calls, fit = [], Recommender.fit_in_context

    def recorded_fit(self: Recommender, train: Any, *arguments: Any, **options: Any) -> Recommender:
        calls.append((self.family, len(train.interactions)))
        return fit(self, train, *arguments, **options)

    lists, retrieve = [], TrainingLists.retrieve

    def recorded(*arguments: Any, **options: Any) -> TrainingLists:
        lists.append(retrieve(*arguments, **options))
        return lists[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Recommender, "fit_in_context", recorded_fit)
        patch.setattr(TrainingLists, "retrieve", recorded)
        model = make("cascade").fit(split.train, split.validation, verbose=0)
    return model, calls, lists[0]


def test_retrievers_of_training_lists_are_fitted_without_the_targets(
    fits: tuple[Cascade, list[tuple[Any, ...]], TrainingLists], split: Split
) -> None:
    model, calls, lists = fits
    rows, users = len(split.train.interactions), len(split.train.user_vocabulary)
    assert calls == [
        ("cascade", rows),
        ("markov_chain", rows),
        ("ease", rows),
        ("bert_ranker", rows),
        ("two_tower", rows - users),
        ("markov_chain", rows - users),
        ("ease", rows - users),
    ]
    assert model.ranker is not None
    validation = lists.validation
    assert validation is not None
    expected = union(
        [CandidateLists(split.validation, part.rank_targets(split.validation, 4).top) for part in model.retrievers]
    )
    assert validation.candidates.shape == expected.candidates.shape
    for user, candidates in zip(validation.targets.users, validation.candidates, strict=True):
        np.testing.assert_array_equal(candidates, expected.candidates[split.validation.users == user][0])


def test_refit_config_has_the_weights_and_the_best_epochs(
    fits: tuple[Cascade, list[tuple[Any, ...]], TrainingLists], split: Split
) -> None:
    model, _, _ = fits
    refit = model.refit_config()
    again = Cascade(config=refit).fit(split.train, verbose=0)
    np.testing.assert_allclose(again.weights, model.weights, rtol=1e-6)
    assert model.ranker is not None
    assert again.ranker is not None
    assert again.ranker.config == model.ranker.refit_config()
    assert [part.config for part in again.retrievers] == [part.config for part in model.retrievers]
    assert Cascade.config_class.from_options(refit.to_dict()) == refit


def test_new_items_reach_all_parts(words: Recommender, ranker: Recommender, split: Split) -> None:
    model = Cascade(retrievers=[words], ranker=ranker, **SIZES).fit(split.train, split.validation)
    new = pd.DataFrame({"item_id": ["new", "i00"], "title": ["even item 20", "known"], "categories": ["even", "even"]})
    grown = model.with_items(new)
    assert grown.fitted_data.items.tokens[21:].tolist() == ["new"]
    assert [len(part.fitted_data.items) for part in (*grown.retrievers, grown.ranker)] == [21, 21]
    table = grown.recommend(histories=[["i02", "i04"]], k=99).set_index("item_id")
    assert np.isfinite(table["score"]).all()
    assert "new" in table.index
    np.testing.assert_array_equal(grown.weights, model.weights)
    assert len(model.recommend(histories=[["i02"]], k=99)) == 19
    assert model.fitted_data.items != grown.fitted_data.items


def test_new_items_are_refused_if_a_part_does_not_read_content(whole: Cascade) -> None:
    new = pd.DataFrame({"item_id": ["new"], "title": ["even item 20"]})
    with pytest.raises(InputError, match=r"^a markov_chain scores items by their interactions alone"):
        whole.with_items(new)
