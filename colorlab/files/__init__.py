"""What is read from a disk and written to it: films, pictures, downloads; whole or not at all, one process at
a time."""
