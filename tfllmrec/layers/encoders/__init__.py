"""Encoders of histories."""
