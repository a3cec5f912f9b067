"""Saved forecasters: what is written, and how what is read is doubted before it is used."""
