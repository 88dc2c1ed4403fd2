"""How values are stored, and in how many bits."""
