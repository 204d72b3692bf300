"""Latency, throughput and start-up time of what is served."""
