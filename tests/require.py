"""Requirements of tests that a machine may lack: the test is skipped with a reason, or fails where CI=true."""

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
