"""Measurements of modelprint that anybody can repeat; each module says what it measures and how."""
