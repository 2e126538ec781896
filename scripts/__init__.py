"""What a developer runs now and then."""
