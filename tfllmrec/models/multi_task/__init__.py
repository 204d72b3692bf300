"""multi_task."""
