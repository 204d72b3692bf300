"""Rules of the code base that no linter checks."""

from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

PACKAGES = ("tfllmrec", "tfllmrec_client")


@pytest.fixture(scope="module")
def graph():
    """All imports between modules, those inside functions included, without those for type checkers."""
    return grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)


def test_modules_import_each_other_without_cycles(graph):
    imports = {name: graph.find_modules_directly_imported_by(name) for name in graph.modules}
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        pytest.fail(f"import cycle: {' -> '.join(reversed(error.args[1]))}", pytrace=False)
