"""Several processes that are one Passerby: who is alive, who is the home of whom, and what they tell each other."""
