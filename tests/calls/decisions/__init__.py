"""What is decided from values alone, without a database."""
