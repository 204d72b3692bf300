"""Data sets, splits, vocabularies and `tf.data` batches."""

from tfllmrec.data.checkerboard import Checkerboard, checkerboard
from tfllmrec.data.cold_splits import ColdItems, ColdUsers, cold_items, cold_users
from tfllmrec.data.dataset import Dataset
from tfllmrec.data.demo import load_demo
from tfllmrec.data.histories import Histories
from tfllmrec.data.id_order import IdOrder
from tfllmrec.data.k_anonymity import k_anonymous
from tfllmrec.data.movielens import load_movielens
from tfllmrec.data.named_datasets import load_dataset
from tfllmrec.data.pseudonymisation import pseudonymise, pseudonymise_folder, pseudonyms, read_key
from tfllmrec.data.splits import Split, Targets, leave_one_out, temporal_split
from tfllmrec.data.vocabulary import Vocabulary

__all__ = [
    "Checkerboard",
    "ColdItems",
    "ColdUsers",
    "Dataset",
    "Histories",
    "IdOrder",
    "Split",
    "Targets",
    "Vocabulary",
    "checkerboard",
    "cold_items",
    "cold_users",
    "k_anonymous",
    "leave_one_out",
    "load_dataset",
    "load_demo",
    "load_movielens",
    "pseudonymise",
    "pseudonymise_folder",
    "pseudonyms",
    "read_key",
    "temporal_split",
]
