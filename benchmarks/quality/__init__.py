"""Quality of recommendations: metrics on held-out interactions, with intervals."""
