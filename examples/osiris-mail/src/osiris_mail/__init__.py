"""Osiris components for mail archives."""
