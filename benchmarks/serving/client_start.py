"""How soon a program has its first answer from a model server: the client's imports, the connection, one `recommend`.

    python -m benchmarks.serving.client_start [--record]

Every time is that of a whole process, Python's own start with it, with a server that answers already. `import` is a
process that imports grpc and numpy and does nothing, which no client in Python can be faster than. The two take turns,
after one turn that fills the disk's cache and does not count.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import report, time_all
from tfllmrec import Popularity
from tfllmrec.data import checkerboard
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess

ANSWER = """
import sys
from tfllmrec_client import Client
with Client(sys.argv[1], "board") as client:
    assert len(client.recommend(users=["nobody"], k=10)[0]) == 10
assert "tensorflow" not in sys.modules
"""
IMPORT = "import grpc, numpy"


def measure(folder: Path, processes: int) -> dict[str, Any]:
    export(Popularity().fit(checkerboard().data, verbose=0), folder / "board", top_k=10)
    with ServerProcess(folder / "board") as server:
        tasks: dict[str, Callable[[], Any]] = {
            name: partial(subprocess.run, [sys.executable, "-c", program, server.grpc_address], check=True)
            for name, program in {"first_answer": ANSWER, "import": IMPORT}.items()
        }
        found = time_all(tasks, processes)
    return {
        "benchmark": "client_start",
        "processes": processes,
        "p50_s": {name: round(seconds.wall, 3) for name, seconds in found.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds from nothing to the client's first answer.")
    parser.add_argument("--record", action="store_true", help="keep the result in results/")
    parser.add_argument("--processes", type=int, default=10, help="of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.processes)
    report(result, "client_start" if options.record else None)


if __name__ == "__main__":
    main()
