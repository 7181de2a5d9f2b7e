"""Many answers at once, each of them an ordinary run."""
