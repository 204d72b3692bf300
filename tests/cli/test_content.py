"""Commands from texts to vectors, and on to items and users that came later."""

import json

import pandas as pd
import pytest

from tfllmrec.data import checkerboard


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "checkerboard"
    checkerboard().data.to_folder(path)
    return path


def test_vectors_a_run_on_them_and_new_items_in_its_export(run, folder, tmp_path):
    films, words, runs, served = (tmp_path / name for name in ("films", "words", "run", "served"))
    assert run("vectors", folder, "--out", films, "--word2vec", words)[:2] == (0, f"{films}\n")
    small = ["--set", "dim=8", "--set", "hidden=8", "--epochs", "1", "--set", "vectors=word2vec"]
    status, _, told = run("train", "two_tower", "--data", films, "--out", runs, *small)
    assert status == 0, told
    assert run("export", runs, "--out", served)[0] == 0

    (tmp_path / "new").mkdir()
    new = pd.DataFrame({"item_id": ["x", "i03"], "title": ["even item", "odd item"], "categories": ["even", "odd"]})
    new.to_csv(tmp_path / "new" / "items.csv", index=False)
    more = tmp_path / "more"
    assert run("vectors", tmp_path / "new", "--out", more, "--word2vec", words)[0] == 0
    status, printed, told = run("refresh", runs, served, "--items", more)
    assert (status, printed) == (0, f"{served / '2'}\n"), told
    assert "| items | 21 |" in (served / "2" / "assets.extra" / "model_card.md").read_text()

    status, _, told = run("refresh", runs, served, "--items", folder)
    assert (status, told) == (2, "tfllmrec: items: all 20 are known to this two_tower already\n")
    status, _, told = run("refresh", runs, served, "--items", tmp_path)
    assert (status, told) == (2, f"tfllmrec: {tmp_path} has neither items.parquet nor items.csv\n")


def test_new_items_and_users_in_a_report(run, folder, tmp_path):
    assert run("train", "word2vec", "--data", folder, "--out", tmp_path / "run", "--set", "dim=8")[0] == 0
    status, printed, told = run("evaluate", tmp_path / "run", "--cold", "--json")
    assert status == 0, told
    found = json.loads(printed)
    assert list(found["cold"]) == ["new items", *(f"new users after {count}" for count in (0, 1, 3))]
    assert found["cold"]["new users after 3"]["ndcg@10"] > found["cold"]["new users after 0"]["ndcg@10"]
    assert found["ndcg@10"] > 0.3
    _, printed, _ = run("evaluate", tmp_path / "run", "--cold")
    assert "new users" in printed
    assert f"{found['cold']['new items']['recall@10']:.4f}" in printed
    assert "cold" not in json.loads(run("evaluate", tmp_path / "run", "--json")[1])
