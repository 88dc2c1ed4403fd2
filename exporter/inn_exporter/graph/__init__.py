"""The exporter's network, and the structure of its dimensions. Knows no operators."""
