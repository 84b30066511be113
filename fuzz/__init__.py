"""Hostile input, found by guided search or drawn at random: `python3 bootstrap.py fuzz`."""
