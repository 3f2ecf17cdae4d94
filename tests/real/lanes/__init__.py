"""The lanes: each is one function that runs checks on a bench."""
