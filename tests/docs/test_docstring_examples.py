"""The examples in docstrings run, and print the outputs that they show."""

import ast
import doctest
import os
from importlib import import_module
from unittest import mock

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from docs.pages import ROOT

SOURCES = {"tfllmrec": ROOT, "tfllmrec_client": ROOT / "serving" / "clients" / "python"}

EXPORT = "writes an export, which takes longer than all other examples together"
NETWORK = "trains a network, which takes longer than all other examples together"
SERVER = "needs a running model server, or the files that it wrote"
WEIGHTS = "needs pretrained weights of 80 MB or more"
NOT_RUN = {
    "tfllmrec.content.small_bert.train_small_bert": NETWORK,
    "tfllmrec.content.bert_loading.pretrained_bert": WEIGHTS,
    "tfllmrec.export.export.export": EXPORT,
    "tfllmrec.export.refresh.refresh": EXPORT,
    "tfllmrec.export.rounding.cost_of_rounding": EXPORT,
    "tfllmrec.models.bert_ranker.model.BertRanker": WEIGHTS,
    "tfllmrec.models.cascade.model.Cascade": NETWORK,
    "tfllmrec.models.cross_encoder.model.CrossEncoder": WEIGHTS,
    "tfllmrec.models.multi_task.model.MultiTask": NETWORK,
    "tfllmrec.models.next_item.model.NextItem": NETWORK,
    "tfllmrec.models.two_tower.model.TwoTower": NETWORK,
    "tfllmrec.monitoring.impressions.read_recommendation_log": SERVER,
    "tfllmrec.monitoring.join.monitoring_report": SERVER,
    "tfllmrec.repository.repository.Repository": EXPORT,
    "tfllmrec.serving.launch.ServerProcess": SERVER,
    "tfllmrec.monitoring.recommendation_log.RecommendationLog": SERVER,
    "tfllmrec.serving.session.ServedModel": EXPORT,
    "tfllmrec.tasks.multi_task.MultiTaskModel": NETWORK,
    "tfllmrec_client.async_client.AsyncClient": SERVER,
    "tfllmrec_client.client.Client": SERVER,
    "tfllmrec_client.client.Client.predict": SERVER,
    "tfllmrec_client.status.RequestError": SERVER,
}

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def docstring_examples():
    """Map the names of documented objects to (module name, `doctest.DocTest`), without importing the package."""
    examples = {}
    for package, folder in SOURCES.items():
        for path in sorted(folder.glob(f"{package}/**/*.py")):
            source = path.read_text(encoding="utf-8")
            if ">>> " in source:
                module = ".".join(path.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
                parsed = parse_examples(ast.parse(source), module, str(path))
                examples |= {test.name: (module, test) for test in parsed}
    return examples


def parse_examples(node, name, path):
    """Yield the examples of a node and of the classes and functions in it."""
    docstring = ast.get_docstring(node)
    if docstring:
        test = doctest.DocTestParser().get_doctest(docstring, {}, name, path, node.body[0].lineno - 1)
        if test.examples:
            yield test
    for child in node.body:
        if isinstance(child, DOCUMENTED):
            yield from parse_examples(child, f"{name}.{child.name}", path)


def module_namespace(name):
    """Return what an example may use without an import: the definitions of its module, and np, pd, tf and keras."""
    module = import_module(name)
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", None) == name}
    return {"keras": keras, "np": np, "pd": pd, "tf": tf, **own}


EXAMPLES = docstring_examples()


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in NOT_RUN])
def test_example_prints_what_it_shows(name, tmp_path, monkeypatch):
    module, test = EXAMPLES[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.os_cache", lambda _: tmp_path)
    test.globs = module_namespace(module)
    output = []
    with mock.patch.dict(os.environ):
        doctest.DocTestRunner(optionflags=FLAGS).run(test, out=output.append)
    assert not output, "".join(output)


def test_examples_that_do_not_run_exist():
    assert set(NOT_RUN) <= set(EXAMPLES)
