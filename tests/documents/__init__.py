"""The documents, run: every example of a command, a program or a configuration does what is said of it."""
