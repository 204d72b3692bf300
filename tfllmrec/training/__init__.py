"""Fitting from the command line: runs in folders, progress, quiet logs."""
