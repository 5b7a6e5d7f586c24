"""Matching: who searches, and who meets whom."""
