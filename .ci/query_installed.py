"""Query an export of the quickstart from two environments: the one of the wheel, which serves it, and the client's.

Usage: python query_installed.py EXPORTS CLIENT_PYTHON
"""

import subprocess
import sys
from pathlib import Path

import tfllmrec
import tfllmrec_client
from tfllmrec.serving import Client, ServerProcess

USER = "42"
PROGRAM = """
import sys
from tfllmrec_client import Client

with Client(sys.argv[1], sys.argv[2]) as client:
    print(*(item.item_id for item in client.recommend(users=[sys.argv[3]])[0]))
assert "tensorflow" not in sys.modules
"""


def main(exports: Path, client_python: str) -> None:
    """Compare the item ids that both clients receive."""
    for package in (tfllmrec, tfllmrec_client):
        assert Path(package.__file__).is_relative_to(sys.prefix), f"{package.__file__} is not the installed package"
    model = min(path for path in exports.iterdir() if path.is_dir())
    with ServerProcess(model) as server:
        with Client(server.grpc_address, model.name) as client:
            items = client.recommend(users=[USER])[0]
        command = [client_python, "-P", "-c", PROGRAM, server.grpc_address, model.name, USER]
        answer = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert [item.item_id for item in items] == answer
    assert len(answer) == 10
    print(f"{model.name}: {', '.join(item.title for item in items)}")


main(Path(sys.argv[1]), sys.argv[2])
