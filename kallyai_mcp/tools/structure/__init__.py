"""What programs read of a result: `structuredContent`."""
