"""The `.inn` file: its manifest, its tensors, and what is checked of them (docs/bundle-format.md)."""
