"""Training from the command line: runs on disk, progress, cold-start and multi-task evaluation."""
