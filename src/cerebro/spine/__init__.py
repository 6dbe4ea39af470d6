"""The nouns everyone shares."""
