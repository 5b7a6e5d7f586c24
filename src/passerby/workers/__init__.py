"""Several processes on one port: the parent that holds the port, the workers that serve, the Valkey that they share."""
