"""The HTTP front: problems, doors, middleware, the routes of access."""
