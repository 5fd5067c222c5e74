"""Image files in, uint8 arrays out: found, checked, decoded, resized, and kept."""
