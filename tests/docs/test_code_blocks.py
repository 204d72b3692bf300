"""The Python blocks of README, concepts, guides and model pages run in the order of the page."""

from dataclasses import fields

import pytest
from docs.pages import ROOT, python_blocks, write_tables

from tfllmrec.models.base.config import Config

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs").glob("concepts/*.md")),
    *sorted((ROOT / "docs").glob("guides/*.md")),
    *sorted((ROOT / "docs").glob("serving/*.md")),
]
MODEL_PAGES = sorted((ROOT / "docs").glob("models/*.md"))
TINY = {
    "batch_size": 64,
    "dim": 8,
    "epochs": 1,
    "expert_units": 8,
    "finetune_epochs": 1,
    "hidden_units": 8,
    "history_length": 5,
    "pair_units": 8,
    "text_length": 12,
    "units": 8,
}


@pytest.fixture
def tiny_models(monkeypatch, tiny_bert):
    """Configurations of tiny models, whatever the options; the small BERT is one that was not trained."""
    from_options = Config.from_options.__func__

    def tiny_from_options(cls, options):
        names = {field.name for field in fields(cls)}
        options = {**options, **{name: value for name, value in TINY.items() if name in names}}
        if "backbone" in names and options.get("backbone", cls.backbone) == "small":
            options["backbone"] = str(tiny_bert)
        return from_options(cls, options)

    monkeypatch.setattr(Config, "from_options", classmethod(tiny_from_options))


def run_blocks(page, folder, monkeypatch):
    """Run the blocks of a page in a new folder."""
    monkeypatch.chdir(folder)
    namespace = {"__name__": "__main__", "write_tables": write_tables}
    for block in python_blocks(page):
        block.run(namespace)


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize("page", [page for page in PAGES if python_blocks(page)], ids=name)
def test_python_blocks_run(page, tmp_path, monkeypatch):
    run_blocks(page, tmp_path, monkeypatch)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize("page", [page for page in MODEL_PAGES if python_blocks(page)], ids=name)
def test_python_blocks_of_models_run(page, tmp_path, monkeypatch):
    run_blocks(page, tmp_path, monkeypatch)
