"""What a network costs on this device: time, memory, and which device it is."""
