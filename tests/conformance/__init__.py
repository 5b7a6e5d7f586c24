"""A server for the public Engine.IO and Socket.IO protocol suites, and our own tests of the protocol rules."""
