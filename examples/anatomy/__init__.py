"""The measurements and the picture behind `examples/fingerprint_anatomy.py`."""
