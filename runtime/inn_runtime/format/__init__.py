"""The `.inn` file: its manifest, its tensors, and what is checked of them (docs/reference/bundle-format.md)."""
