"""A house of guests who come, search, talk and go: what a way to match them is worth, before real guests try it."""
