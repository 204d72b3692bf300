"""cross_encoder."""
