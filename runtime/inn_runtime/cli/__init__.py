"""The `inn` command. The exporter adds its commands through the entry points ``inn.commands``."""

from .main import main

__all__ = ["main"]
