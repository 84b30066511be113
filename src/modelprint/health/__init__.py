"""A gallery's own images -> how well it knows its models."""
