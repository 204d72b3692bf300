"""Exports of rankers: scores of candidates by id, by index and from raw texts."""

import numpy as np
import pytest
import tensorflow as tf
from assertions import LOWEST, padded
from small_data import GREEDY, ITEMS
from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

from tfllmrec.export import Servable, binding
from tfllmrec.export.target import CPU
from tfllmrec.export.warmup import WARMUP_FILE
from tfllmrec.models.ranker import text_ranker


def ranker_of(recommender):
    """Return the ranker of a cascade, or the recommender itself."""
    return getattr(recommender, "ranker", recommender)


def score_candidates(recommender, *arrays):
    return ranker_of(recommender).predictor.score_candidates(*arrays)["scores"]


REQUESTS = {
    "known user": ("用户3", [], ITEMS[:5]),
    "known user, stored history exceeds history_length": (GREEDY, [], ITEMS),
    "known user, history": ("用户3", ["item1", "电影一"], ITEMS),
    "history": ("", ["🎬🍿", "a b|c", 'say "hi"'], ITEMS[::-1]),
    "history exceeds history_length": ("", ITEMS[:7], ITEMS),
    "unknown user": ("unknown", [], ITEMS),
    "some unknown items": ("", ["", "unheard of", "item1", "未知"], ["never", "item5", "", "item2", "未知"]),
    "unknown items": ("用户4", ["unheard of"], ["unheard of", ""]),
    "repeated item": ("", ["item1", "item1"], ["item3", "item3", "item1"]),
    "no candidates": ("用户3", ["item1"], []),
}
"""User, history and candidates by case."""
HOSTILE = [
    "[SEP] [CLS] [MASK]",
    "\0\x07\u200b a",
    "🎬🇫🇷",
    "花样年华 2",
    "x" * 5000,
    "word " * 3000,
    "a\xa0b\u3000c",
    "ÉTÉ",
]
TEXT_REQUESTS = {
    "history": (["Title of item1", "a film"], ["Title of item2", "another film"]),
    "no history": ([], ["Title of item2", "another film"]),
    "blanks": (["", "a film", " \xa0", "Title of item1", ""], ["", "Title of item2", "\u3000 ", "another film"]),
    "hostile": (HOSTILE[:3], HOSTILE),
    "hostile history": (HOSTILE, ["Title of item2"]),
    "history exceeds history_length": ([f"film {number}" for number in range(9)], ["film 3", "film 8"]),
    "no candidates": (["a film"], []),
    "empty": ([], []),
}
"""Texts of the history and of the candidates by case."""


@pytest.fixture(params=["bert_ranker", "cross_encoder", "cascade"])
def ranking(request, exports):
    return exports[request.param]


@pytest.fixture
def rank(runtime, ranking):
    """Runs `rank` on requests and returns the scores."""

    def rank(requests, width=0):
        users, histories, candidates = zip(*requests, strict=True)
        inputs = {"history": padded(histories, width), "candidate_item_ids": padded(candidates, width)}
        return runtime.run(ranking.path, "rank", user_id=users, **inputs)["scores"]

    return rank


@pytest.fixture
def rank_texts(runtime, ranking):
    """Runs `rank_texts` on requests and returns the scores."""

    def rank_texts(requests, width=0):
        histories, candidates = zip(*requests, strict=True)
        inputs = {"history_texts": padded(histories, width), "candidate_texts": padded(candidates, width)}
        return runtime.run(ranking.path, "rank_texts", **inputs)["scores"]

    return rank_texts


def expected_scores(recommender, user, history, candidates):
    """Compute the ranker's scores of one request in Python."""
    fitted_data = recommender.fitted_data
    users = fitted_data.users.lookup([user])
    requested = [item for item in fitted_data.items.lookup(history) if item]
    stored = fitted_data.histories.take(users).row(0).tolist()
    recent = (requested or stored)[-4:]
    histories = np.array([[*recent, *[0] * (4 - len(recent))]], np.int32)
    items = fitted_data.items.lookup(candidates)
    return np.where(items > 0, score_candidates(recommender, users, histories, items[None])[0], LOWEST)


def test_scores_match_python(ranking, rank):
    scores = rank(REQUESTS.values())
    assert scores.shape == (len(REQUESTS), len(ITEMS))
    for row, (case, request) in enumerate(REQUESTS.items()):
        count = len(request[2])
        if count:
            expected = expected_scores(ranking.recommender, *request)
            np.testing.assert_allclose(scores[row, :count], expected, 1e-5, 1e-6, err_msg=case)
        assert (scores[row, count:] == LOWEST).all(), case
    assert np.isfinite(scores).all()


def test_scores_follow_the_rules(ranking, rank):
    """Check the rules of the model card on their own, without the recommender's scores."""
    scores = dict(zip(REQUESTS, rank(REQUESTS.values()), strict=True))
    counts = dict(
        zip(ranking.recommender.fitted_data.items.tokens, ranking.recommender.fitted_data.counts, strict=True)
    )
    popularity = [np.log1p(counts[item]) for item in ITEMS]
    np.testing.assert_allclose(scores["unknown user"], popularity, rtol=1e-5)
    assert (scores["some unknown items"] == LOWEST).tolist() == [True, False, True, False, *[True] * 8]
    assert (scores["unknown items"] == LOWEST).all()
    assert scores["repeated item"][0] == scores["repeated item"][1] != scores["repeated item"][2]
    same_history = [(GREEDY, [], ITEMS), ("unknown", ITEMS[6:10], ITEMS), ("unknown", ["", *ITEMS[4:10]], ITEMS)]
    by_history = rank(same_history)  # the stored history of GREEDY has all items but the last two
    np.testing.assert_allclose(by_history[1:], by_history[[0, 0]], rtol=1e-5, atol=1e-6)
    assert np.ptp(by_history[0]) > 1e-4


def test_padding_and_other_rows_do_not_change_scores(rank):
    batch = rank(REQUESTS.values())
    np.testing.assert_allclose(rank(REQUESTS.values(), width=33)[:, : len(ITEMS)], batch, rtol=1e-5, atol=1e-6)
    for row, request in enumerate(REQUESTS.values()):
        single = rank([request])[0]
        np.testing.assert_allclose(single, batch[row, : len(single)], rtol=1e-5, atol=1e-6)


def test_rank_ids_ignores_stored_histories_and_unknown_indices(runtime, ranking):
    users, histories = [1, -7, 10**6], [[0, 0, 0, 0], [3, 0, 10**6, 5], [-1, 3, 5, 0]]
    candidates = [[1, 2, 3], [-1, 4, 10**6], [6, 0, 4]]
    scores = runtime.run(ranking.path, "rank_ids", user=users, history=histories, candidates=candidates)["scores"]
    fitted_data = ranking.recommender.fitted_data
    known_history = np.array([[3, 5, 0, 0]] * 2, np.int32)
    items = np.array([[0, 4, 0], [6, 0, 4]], np.int32)
    expected = score_candidates(ranking.recommender, np.zeros(2, np.int32), known_history, items)
    np.testing.assert_allclose(scores[0], np.log1p(fitted_data.counts[1:4]), rtol=1e-5)
    np.testing.assert_allclose(scores[1:], np.where(items > 0, expected, LOWEST), rtol=1e-5, atol=1e-6)


def test_scores_of_texts_match_python(ranking, rank_texts):
    scores = rank_texts(TEXT_REQUESTS.values())
    histories, candidates = zip(*TEXT_REQUESTS.values(), strict=True)
    expected = ranker_of(ranking.recommender).score_texts(histories, candidates)
    for row, (case, row_scores) in enumerate(zip(TEXT_REQUESTS, expected, strict=True)):
        np.testing.assert_allclose(scores[row, : len(row_scores)], row_scores, 1e-4, 1e-5, err_msg=case)
        assert (scores[row, len(row_scores) :] == LOWEST).all(), case
    assert np.isfinite(scores).all()
    by_case = dict(zip(TEXT_REQUESTS, scores, strict=True))
    assert (by_case["blanks"][[0, 2]] == LOWEST).all()
    assert (by_case["history"][:2] > LOWEST).all()
    assert (by_case["hostile"] > LOWEST).all()  # no hostile text is blank
    assert np.ptp(by_case["hostile"]) > 1e-5


def test_other_rows_do_not_change_scores_of_texts(rank_texts):
    batch = rank_texts(TEXT_REQUESTS.values(), width=9)
    for row, request in enumerate(TEXT_REQUESTS.values()):
        single = rank_texts([request])[0]
        np.testing.assert_allclose(single, batch[row, : len(single)], rtol=1e-4, atol=1e-5)


def test_blank_texts_in_a_history_are_ignored(rank_texts):
    candidates = ["Title of item2", "another film"]
    plain, with_blanks = (
        rank_texts([(history, candidates)])
        for history in (["a film", "Title of item1"], ["", "a film", " ", "Title of item1", ""])
    )
    np.testing.assert_allclose(with_blanks, plain, rtol=1e-5, atol=1e-6)


EMPTY = np.empty((0, 0), object)


@pytest.mark.parametrize(
    ("signature", "inputs"),
    [
        ("rank", {"user_id": [], "history": EMPTY, "candidate_item_ids": EMPTY}),
        ("rank_ids", {"user": [], "history": np.empty((0, 4)), "candidates": np.empty((0, 0))}),
        ("rank_texts", {"history_texts": EMPTY, "candidate_texts": EMPTY}),
        ("rank_texts", {"history_texts": EMPTY, "candidate_texts": np.empty((0, 3), object)}),
    ],
)
def test_empty_batch_returns_no_rows(runtime, ranking, signature, inputs):
    scores = runtime.run(ranking.path, signature, **inputs)["scores"]
    assert scores.shape == (0, np.shape([*inputs.values()][-1])[1])


def test_no_candidates_return_no_scores(runtime, ranking):
    empty = np.empty((2, 0), object)
    by_id = runtime.run(ranking.path, "rank", user_id=["用户3", ""], history=empty, candidate_item_ids=empty)
    by_index = runtime.run(ranking.path, "rank_ids", user=[1, 0], history=[[1, 0, 0, 0]] * 2, candidates=empty)
    by_text = runtime.run(ranking.path, "rank_texts", history_texts=[["a"], [""]], candidate_texts=empty)
    assert [outputs["scores"].shape for outputs in (by_id, by_index, by_text)] == [(2, 0)] * 3


def test_candidates_beyond_the_maximum_have_the_lowest_score(bert_ranker, runtime, monkeypatch, tmp_path):
    for module in (binding, text_ranker):
        monkeypatch.setattr(module, "MAX_CANDIDATES", 3)
    servable = Servable(bert_ranker.recommender, 5)
    signatures = {name: function for name, function in servable.signatures().items() if name.startswith("rank")}
    tf.saved_model.save(servable, str(tmp_path), signatures=signatures)
    requests = {
        "rank": {"user_id": ["用户3"], "history": [["item1"]], "candidate_item_ids": [ITEMS[:5]]},
        "rank_ids": {"user": [0], "history": [[1, 2, 0, 0]], "candidates": [[3, 4, 5, 6, 7]]},
        "rank_texts": {"history_texts": [["a film"]], "candidate_texts": [["a", "b", "c", "d", "e"]]},
    }
    for name, inputs in requests.items():
        cut, full = (runtime.run(path, name, **inputs)["scores"][0] for path in (tmp_path, bert_ranker.path))
        assert (full > LOWEST).all()
        np.testing.assert_allclose(cut[:3], full[:3], rtol=1e-5, atol=1e-6)
        assert cut[3:].tolist() == [LOWEST] * 2


def test_retrieve_is_an_alias_of_recommend_for_cascades(runtime, cascade):
    by_id = {"user_id": ["用户3", ""], "history": [[""], ["item1"]], "exclude_item_ids": [["item2"], [""]]}
    by_index = {"user": [1, 0], "history": [[1, 2, 0, 0], [0] * 4], "exclude": [[3], [0]]}
    for names, inputs in ((("retrieve", "recommend"), by_id), (("retrieve_ids", "recommend_ids"), by_index)):
        retrieved, recommended = (runtime.run(cascade.path, name, **inputs) for name in names)
        assert retrieved.keys() == recommended.keys()
        for name, values in retrieved.items():
            np.testing.assert_array_equal(recommended[name], values)


def test_excluded_items_are_not_candidates(runtime, cascade):
    """Exclude the best items: retrievers replace them by others, so the ranker gets as many candidates as without."""
    recommender = cascade.recommender
    best = recommender.recommend([""], [["item1"]], k=6)["item_id"].tolist()
    inputs = {"user_id": [""], "history": [["item1"]], "exclude_item_ids": [best]}
    outputs = runtime.run(cascade.path, "recommend", **inputs)
    table = recommender.recommend([""], [["item1"]], k=99, exclude=[best])
    assert outputs["item_ids"][0, : len(table)].tolist() == table["item_id"].tolist()
    np.testing.assert_allclose(outputs["scores"][0, : len(table)], table["score"], rtol=1e-5, atol=1e-6)
    items = recommender.fitted_data.items
    history, excluded = np.array([[*items.lookup(["item1"]), 0, 0, 0]]), items.lookup([*best, "item1"])[None]
    without = recommender.score(np.zeros(1, np.int32), history, exclude=np.zeros((1, 1), np.int32)).numpy()[0]
    with_excluded = recommender.score(np.zeros(1, np.int32), history, exclude=excluded).numpy()[0]
    assert not np.allclose(without, with_excluded)


def test_card_and_warmup_describe_candidates(ranking):
    card = (ranking.path / "assets.extra" / "model_card.md").read_text(encoding="utf-8")
    section = card.split("### rank\n")[1].split("##")[0]
    assert "| in | `candidate_item_ids` | string | [B, ?] |" in section
    assert "| out | `scores` | float32 | [B, ?] |" in section
    assert f"those after the {binding.MAX_CANDIDATES:,}th of a row" in section
    assert "| in | `candidate_texts` | string | [B, ?] |" in card.split("### rank_texts\n")[1].split("##")[0]
    records = tf.data.TFRecordDataset(str(ranking.path / WARMUP_FILE))
    requests = [PredictionLog.FromString(record.numpy()).predict_log.request for record in records]
    fitted_data = ranking.recommender.fitted_data
    available = {"candidate_item_ids": fitted_data.items.tokens[1:], "candidate_texts": fitted_data.titles[1:]}
    for signature, name in (("rank", "candidate_item_ids"), ("rank_texts", "candidate_texts")):
        matching = [request for request in requests if request.model_spec.signature_name == signature]
        candidates = [tf.make_ndarray(request.inputs[name]) for request in matching]
        assert [array.shape for array in candidates] == [(rows, 2) for rows in CPU.batch_sizes]
        assert {value.decode() for array in candidates for value in array.flat} <= set(available[name])
