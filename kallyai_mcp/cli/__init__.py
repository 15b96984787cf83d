"""What a person types; the only place that puts the parts together."""
