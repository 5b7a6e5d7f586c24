"""Redis or Valkey: the connection, the watch on it, scripts. The adapters beside their ports use it."""
