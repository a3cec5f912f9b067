"""Search for the settings of a network on the end of its training span."""
