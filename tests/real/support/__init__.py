"""What the real-server lanes share: the cache, processes, and words on the screen.

Standard library only, so that a lane can say what is missing before anything
has been installed.
"""
