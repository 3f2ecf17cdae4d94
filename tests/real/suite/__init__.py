"""Cluster cases as data, and what plays each of them in two worlds."""
