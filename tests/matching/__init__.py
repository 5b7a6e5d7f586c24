"""The queue, and who meets whom."""
