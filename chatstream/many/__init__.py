"""Many answers at once: runs side by side, and the commands built on them."""
