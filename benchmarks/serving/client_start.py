"""Time from the start of a Python process to its first response from a model server, with the client.

    python -m benchmarks.serving.client_start [--record]

Each time is that of a whole process, including the start of Python, with a server that is already running.
`first_response` imports the client, connects and calls `recommend`. `import` only imports grpc and numpy, the lower
bound of any client in Python. Both take turns; the first turn fills the disk cache and does not count.

Prints one JSON line with the medians. Target: 0.4 s to the first response. It takes 20 seconds.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import benchmark_parser, report, time_all
from tfllmrec import Popularity
from tfllmrec.data import checkerboard
from tfllmrec.export import export
from tfllmrec.serving import ServerProcess

FIRST_REQUEST = """
import sys
from tfllmrec_client import Client
with Client(sys.argv[1], "board") as client:
    assert len(client.recommend(users=["unknown"], k=10)[0]) == 10
assert "tensorflow" not in sys.modules
"""
IMPORT = "import grpc, numpy"


def measure(folder: Path, processes: int) -> dict[str, Any]:
    export(Popularity().fit(checkerboard().data, verbose=0), folder / "board", top_k=10)
    with ServerProcess(folder / "board") as server:
        tasks: dict[str, Callable[[], Any]] = {
            name: partial(subprocess.run, [sys.executable, "-c", program, server.grpc_address], check=True)
            for name, program in {"first_response": FIRST_REQUEST, "import": IMPORT}.items()
        }
        seconds = time_all(tasks, processes)
    return {
        "benchmark": "client_start",
        "processes": processes,
        "p50_s": {name: round(median.wall, 3) for name, median in seconds.items()},
    }


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--processes", type=int, default=10, help="processes of each kind")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = measure(Path(folder), options.processes)
    report(result, "client_start" if options.record else None)


if __name__ == "__main__":
    main()
