"""Fingerprints -> scores, and what a score means."""
