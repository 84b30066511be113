"""Answers of old -> are they what this gallery gives today?"""
