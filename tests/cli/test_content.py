"""Commands for content vectors, and for items and users that are new."""

import json

import pandas as pd


def test_vectors_are_trained_on_and_extended_by_refresh(run, checkerboard_folder, tmp_path):
    films, words, runs, served = (tmp_path / name for name in ("films", "words", "run", "served"))
    assert run("vectors", checkerboard_folder, "--out", films, "--word2vec", words)[:2] == (0, f"{films}\n")
    small = ["--set", "dim=8", "--set", "hidden_units=8", "--epochs", "1", "--set", "vectors=word2vec"]
    status, _, stderr = run("train", "two_tower", "--data", films, "--out", runs, *small)
    assert status == 0, stderr
    assert run("export", runs, "--out", served)[0] == 0

    (tmp_path / "new").mkdir()
    new = pd.DataFrame({"item_id": ["x", "i03"], "title": ["even item", "odd item"], "categories": ["even", "odd"]})
    new.to_csv(tmp_path / "new" / "items.csv", index=False)
    more = tmp_path / "more"
    assert run("vectors", tmp_path / "new", "--out", more, "--word2vec", words)[0] == 0
    status, stdout, stderr = run("refresh", runs, served, "--items", more)
    assert (status, stdout) == (0, f"{served / '2'}\n"), stderr
    assert "| items | 21 |" in (served / "2" / "assets.extra" / "model_card.md").read_text()

    status, _, stderr = run("refresh", runs, served, "--items", checkerboard_folder)
    assert (status, stderr) == (2, "tfllmrec: items: all 20 are known to this two_tower already\n")
    status, _, stderr = run("refresh", runs, served, "--items", tmp_path)
    assert (status, stderr) == (2, f"tfllmrec: {tmp_path} has neither items.parquet nor items.csv\n")


def test_evaluation_on_new_items_and_users(run, markov_chain_run):
    status, stdout, stderr = run("evaluate", markov_chain_run, "--cold", "--json")
    assert status == 0, stderr
    scores = json.loads(stdout)
    assert list(scores["cold"]) == ["new items", *(f"new users after {count}" for count in (0, 1, 3))]
    assert scores["cold"]["new users after 3"]["ndcg@10"] > scores["cold"]["new users after 0"]["ndcg@10"]
    assert scores["ndcg@10"] > 0.3
    _, stdout, _ = run("evaluate", markov_chain_run, "--cold")
    assert "new users" in stdout
    assert f"{scores['cold']['new users after 3']['ndcg@10']:.4f}" in stdout
    assert "cold" not in json.loads(run("evaluate", markov_chain_run, "--json")[1])


def test_vectors_of_items_in_another_encoding(run, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "items.csv").write_text("item_id;title\na;电影\nb;电影\n", encoding="gb18030")
    command = ("vectors", tmp_path / "data", "--out", tmp_path / "out", "--word2vec", tmp_path / "words")
    status, _, stderr = run(*command)
    assert (status, "give encoding, such as gb18030" in stderr) == (2, True)
    status, _, stderr = run(*command, "--encoding", "gb18030")
    assert status == 0, stderr
    assert pd.read_parquet(tmp_path / "out" / "items.parquet")["title"].tolist() == ["电影", "电影"]
