"""Images: read, checked, divided by what they are for."""
