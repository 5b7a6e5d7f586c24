"""Development tools of Passerby; not installed with it."""
