"""Behaviour of the model server and the model repository under failures, changes and malformed requests."""
