"""The recurrent next-item model."""
