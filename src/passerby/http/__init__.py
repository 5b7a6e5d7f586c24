"""HTTP: thin Litestar routes that parse, call a service and render."""
