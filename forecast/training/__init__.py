"""How a network is trained. `settings` needs nothing; the rest needs lightning, which takes seconds to import."""
