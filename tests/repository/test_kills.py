"""A process that is killed at any point of a change leaves a whole repository.

A kill is simulated in this process: after a number of file system operations all further ones fail, so that no clean-up
takes effect either. Between two operations nothing changes on the disk, except that a file which is open for writing
fills up; a kill right after `open` leaves it empty. benchmarks/robustness/kills.py kills real processes.
"""

import builtins
import io
import os

import pytest

from tfllmrec.export.checksums import check_checksums
from tfllmrec.export.versions import version_folders
from tfllmrec.serving.configuration import read_config

OPERATIONS = (
    *((os, name) for name in ("mkdir", "rename", "replace", "unlink", "remove", "rmdir", "open", "fsync", "truncate")),
    (io, "open"),
    (builtins, "open"),
)


class Killed(BaseException):
    """No handler of exceptions catches it."""


def run_until_kill(change, steps):
    """Run a change that is killed before or after one of its file system operations."""
    remaining = iter(range(steps))

    def step():
        if next(remaining, None) is None:
            raise Killed

    def killable(operation):
        def run(*args, **kwargs):
            step()
            result = operation(*args, **kwargs)
            try:
                step()
            except Killed:
                if isinstance(result, int):  # a file descriptor
                    os.close(result)
                raise
            return result

        return run

    with pytest.MonkeyPatch.context() as patch:
        for module, name in OPERATIONS:
            patch.setattr(module, name, killable(getattr(module, name)))
        try:
            change()
        except Killed:
            return


CHANGES = {
    "publish": (
        lambda repository, version: repository.publish(version),
        {"stable": 1, "canary": 3},
        {1, 2, 3},
    ),
    "promote": (lambda repository, _: repository.promote("电影"), {"stable": 3, "previous": 1}, {1, 2, 3}),
    "rollback": (lambda repository, _: repository.rollback("电影"), {"stable": 1}, {1, 2, 3}),
    "prune": (lambda repository, _: repository.prune("电影", keep=1), {"stable": 1, "canary": 3}, {1, 3}),
}
"""Changes with the labels and versions that they result in."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_kill_at_any_point_leaves_a_whole_repository(published, exports, name):
    """The change is killed at its first operation, repeated and killed at its second one, and so on until it ends."""
    published.rollback("电影", canary=True)
    if name != "publish":
        published.publish(exports[3])
    if name == "rollback":
        published.promote("电影")
    change, labels, versions = CHANGES[name]
    steps = 0
    while (published.labels("电影"), version_folders(published.folder / "电影").keys()) != (labels, versions):
        run_until_kill(lambda: change(published, exports[3]), steps)
        steps += 1
        (config,) = read_config(published.folder / "models.config")
        folders = version_folders(published.folder / "电影")
        served = set(config.model_version_policy.specific.versions)
        assert set(config.version_labels.values()) == served <= folders.keys()
        assert versions <= folders.keys() | {3}
        for folder in folders.values():
            check_checksums(folder)
    assert steps > 5
    published.prune("电影", keep=9)
    assert not (published.folder / ".staging").exists()
