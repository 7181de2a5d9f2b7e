"""Filters over passing events. They never open a source again."""
