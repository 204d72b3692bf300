"""Recommendations for all users of a run, for the command `recommend`."""

from pathlib import Path

from tfllmrec.cli.app import stage


def write_recommendations(run: Path, out: Path, *, k: int, scenario: str) -> None:
    """Write the best items of all users of a run to a folder; print the folder."""
    with stage(f"Recommending for all users of {run}") as running:
        from tfllmrec.training.batch_recommendations import recommend_all

        def show(done: int, total: int) -> None:
            running.update(f"{done:,} of {total:,}", done, total)

        recommend_all(run, out, k=k, scenario=scenario, progress=show)
    print(out)
