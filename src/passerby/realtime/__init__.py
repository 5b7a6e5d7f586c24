"""The contract on the wire: events to service calls, and back to bytes."""
