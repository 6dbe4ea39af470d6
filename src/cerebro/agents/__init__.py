"""One folder an agent, all with the same rooms."""
