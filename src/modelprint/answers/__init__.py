"""Scores -> answers: candidates, rules, reasons, evidence."""
