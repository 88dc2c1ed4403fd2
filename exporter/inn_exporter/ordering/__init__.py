"""How channels are laid out along their continuous axes."""
