"""two_tower."""
