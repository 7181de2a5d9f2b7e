"""Many answers at once: runs side by side, and what is made of them."""
