"""Pixels -> numbers: the statistics and networks that a backbone is made of."""
