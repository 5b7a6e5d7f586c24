"""The people who look after the guests: who they are, what they see and decide, and the record of it."""
