"""How much of a catalogue's text does a BERT's vocabulary not know?

    python -m benchmarks.quality.unknown_tokens --data FOLDER --backbone all-minilm-l6-v2 [--record]

For douban-zh, whose titles are Chinese. The share of tokens that are [UNK] in all titles: of the vocabulary that
`small_bert` learns of these titles; of one that it learns of the first, third, fifth ... and reads the others with, as
when a catalogue grows; and of every model that is named. Prints one JSON line.
"""

import argparse
from pathlib import Path

from benchmarks.common import report
from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.content.small_bert import small_bert
from tfllmrec.data.reading import read_items


def main() -> None:
    arguments = _arguments()
    folder = Path(arguments.data)
    titles = read_items(folder)["title"].tolist()
    shares = {
        "learnt": _with_vocabulary_of(titles).unknown_share(titles),
        "learnt from the others": _with_vocabulary_of(titles[::2]).unknown_share(titles[1::2]),
    }
    shares |= {name: pretrained(name).unknown_share(titles) for name in arguments.backbone}
    result = {"benchmark": "unknown_tokens", "data": folder.name, "titles": len(titles)}
    result |= {"unknown": {name: round(share, 4) for name, share in shares.items()}}
    report(result, f"unknown_tokens-{folder.name}" if arguments.record else None)


def _with_vocabulary_of(texts: list[str]) -> Bert:
    """A BERT whose weights do not matter."""
    return small_bert(texts, layers=1, dim=8, heads=1, epochs=1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", required=True, help="a folder with a table of items")
    parser.add_argument("--backbone", nargs="*", default=[], help="names for tfllmrec.content.pretrained.pretrained")
    parser.add_argument("--record", action="store_true", help="keep the line in benchmarks/results/")
    return parser.parse_args()


if __name__ == "__main__":
    main()
