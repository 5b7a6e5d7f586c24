"""What protects strangers from each other."""
