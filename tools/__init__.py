"""Programs for those who work on Passerby. None of them is installed with it."""
