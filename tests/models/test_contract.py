"""The contract, for every registered family."""

from models.contract import *  # noqa: F403
