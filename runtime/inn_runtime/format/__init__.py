"""The `.inn` file: its manifest, its tensors, what is checked of them (docs/reference/bundle-format.md)."""
