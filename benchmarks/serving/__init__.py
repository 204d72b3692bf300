"""Latency, throughput and start-up time of serving."""
