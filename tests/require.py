"""Requirements of tests that a machine may lack: the test is skipped with a reason, or fails where CI=true."""

import importlib.util
import os
import shutil

import pytest


def require(available: bool, reason: str) -> None:
    """Skip the calling test or fixture unless a requirement is met; in CI, fail it.

    Args:
        available: whether the requirement is met.
        reason: the sentence that pytest reports.
    """
    if available:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI has to provide it: {reason}", pytrace=False)
    pytest.skip(reason)


def require_program(name: str) -> str:
    """Return the path of a program, or skip the calling test (in CI: fail it)."""
    path = shutil.which(name)
    require(path is not None, f"{name} is not installed")
    return path or ""


def require_packages(*names: str, install: str) -> None:
    """Skip the calling test unless packages are installed; in CI, fail it.

    Args:
        names: import names of the packages.
        install: the command that installs them.
    """
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    require(not missing, f"{', '.join(missing)} not installed: {install}")
