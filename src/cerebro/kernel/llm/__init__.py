"""Language models at an address: asked to word what is proved, never to decide."""
