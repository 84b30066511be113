"""Embedders and indexes of others, one file each; none is imported before you ask for it."""
