"""Models compared with one another: the same origins for all, kept in a store, told in tables."""
