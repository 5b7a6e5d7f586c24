"""The wire contract: translates Socket.IO events to service calls, and encodes outgoing events."""
