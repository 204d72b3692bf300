"""Share of a catalog's title tokens that a BERT vocabulary does not know.

    python -m benchmarks.quality.unknown_tokens --data FOLDER --backbone all-minilm-l6-v2 [--record]

Data: douban-zh, with Chinese titles.

Prints one JSON line: the share of [UNK] among the tokens of all titles for the vocabulary that `train_small_bert`
learns from these titles (`learnt`), and for each model of `--backbone`; and the share in every second title for a
vocabulary learnt from the other titles (`learnt from the others`), which simulates a catalog that grows.
"""

import argparse
from pathlib import Path

from benchmarks.common import benchmark_parser, report
from tfllmrec.content.bert import Bert
from tfllmrec.content.bert_loading import pretrained_bert
from tfllmrec.content.small_bert import train_small_bert
from tfllmrec.data.table_files import read_items


def main() -> None:
    arguments = _arguments()
    folder = Path(arguments.data)
    titles = read_items(folder)["title"].tolist()
    shares = {
        "learnt": _bert_with_vocabulary_of(titles).unknown_share(titles),
        "learnt from the others": _bert_with_vocabulary_of(titles[::2]).unknown_share(titles[1::2]),
    }
    shares |= {name: pretrained_bert(name).unknown_share(titles) for name in arguments.backbone}
    result = {"benchmark": "unknown_tokens", "data": folder.name, "titles": len(titles)}
    result |= {"unknown": {name: round(share, 4) for name, share in shares.items()}}
    report(result, f"unknown_tokens-{folder.name}" if arguments.record else None)


def _bert_with_vocabulary_of(texts: list[str]) -> Bert:
    """Return a BERT with a vocabulary learnt from texts; its weights do not matter."""
    return train_small_bert(texts, layers=1, dim=8, heads=1, epochs=1)


def _arguments() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", required=True, help="folder with a table of items")
    parser.add_argument(
        "--backbone", nargs="*", default=[], help="names for tfllmrec.content.bert_loading.pretrained_bert"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
