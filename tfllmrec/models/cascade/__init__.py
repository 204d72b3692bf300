"""The cascade of retrievers and a ranker."""
