"""HTTP: thin Litestar routes that parse a request, call a service and encode the response."""
