"""The Python blocks of README, quickstart, concepts, guides and model pages run in the order of the page."""

from dataclasses import fields

import pytest
from docs.pages import ROOT, python_blocks, write_tables

from tfllmrec.models.base.config import Config

DOCS = ROOT / "docs"
FAST = [ROOT / "README.md", *sorted(DOCS.glob("concepts/*.md")), *sorted(DOCS.glob("serving/*.md"))]
FAST += [
    DOCS / "guides" / f"{name}.md"
    for name in ("batch-recommendations", "check-tables", "operate-and-monitor", "privacy", "your-data")
]
SLOW = sorted({*DOCS.glob("*.md"), *DOCS.glob("guides/*.md"), *DOCS.glob("models/*.md")} - {*FAST})
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
    """Configurations of tiny models for all options; the small BERT is untrained."""
    from_options = Config.from_options.__func__

    def tiny_from_options(cls, options):
        names = {field.name for field in fields(cls)}
        options = {**options, **{name: value for name, value in TINY.items() if name in names}}
        if "backbone" in names and options.get("backbone", cls.backbone) == "small":
            options["backbone"] = str(tiny_bert)
        return from_options(cls, options)

    monkeypatch.setattr(Config, "from_options", classmethod(tiny_from_options))


def with_blocks(pages, *marks):
    """Return test parameters for the pages that have blocks to run."""
    with_code = [page for page in pages if python_blocks(page)]
    return [pytest.param(page, id=page.relative_to(ROOT).as_posix(), marks=marks) for page in with_code]


@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize("page", [*with_blocks(FAST), *with_blocks(SLOW, pytest.mark.slow)])
def test_python_blocks_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__", "write_tables": write_tables}
    for block in python_blocks(page):
        block.run(namespace)
