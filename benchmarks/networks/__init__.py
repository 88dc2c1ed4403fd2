"""What is measured on: networks, their weights and data, from packages or trained here."""
