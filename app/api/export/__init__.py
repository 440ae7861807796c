"""The export resource: everything of one's own in one JSON document, without what is secret."""
